//! Names of Waypoint's controls: the mouse, then buttons by their codes, then the wheel.

use crate::config::ControlConfig;

/// Names by code, which is Windows' of virtual keys: the release's own client sends these. Letters, digits and F keys are not listed.
const NAMED: [(usize, &str); 43] = [
    (1, "MOUSE1"),
    (2, "MOUSE2"),
    (4, "MOUSE3"),
    (5, "MOUSE4"),
    (6, "MOUSE5"),
    (8, "BACKSPACE"),
    (9, "TAB"),
    (13, "ENTER"),
    (16, "SHIFT"),
    (17, "CTRL"),
    (18, "ALT"),
    (19, "PAUSE"),
    (20, "CAPSLOCK"),
    (27, "ESCAPE"),
    (32, "SPACE"),
    (33, "PAGEUP"),
    (34, "PAGEDOWN"),
    (35, "END"),
    (36, "HOME"),
    (37, "LEFT"),
    (38, "UP"),
    (39, "RIGHT"),
    (40, "DOWN"),
    (45, "INSERT"),
    (46, "DELETE"),
    (106, "MULTIPLY"),
    (107, "PLUS"),
    (109, "MINUS"),
    (110, "DECIMAL"),
    (111, "DIVIDE"),
    (160, "LEFTSHIFT"),
    (161, "RIGHTSHIFT"),
    (162, "LEFTCTRL"),
    (163, "RIGHTCTRL"),
    (164, "LEFTALT"),
    (165, "RIGHTALT"),
    (186, "SEMICOLON"),
    (187, "EQUALS"),
    (188, "COMMA"),
    (190, "PERIOD"),
    (191, "SLASH"),
    (192, "BACKQUOTE"),
    (222, "QUOTE"),
];

/// The name of the button with this code.
fn button(code: usize) -> String {
    let named = NAMED.iter().find(|(named, _)| *named == code).map(|(_, name)| (*name).to_owned());
    named.unwrap_or_else(|| match code {
        48..=57 | 65..=90 => char::from(code as u8).to_string(),
        96..=105 => format!("NUM{}", code - 96),
        112..=135 => format!("F{}", code - 111),
        _ => format!("BUTTON{code}"),
    })
}

/// The names of all controls of a network with so many buttons.
pub fn names(buttons: usize) -> Vec<String> {
    let ends = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    [ends(&["mouse_x", "mouse_y"]), (0..buttons).map(button).collect(), ends(&["wheel"])].concat()
}

/// What a pixel of the mouse's way in a picture frame is to the network. Its unit is not published; one user found 0.05 to 0.3 of use.
const PIXEL: f32 = 0.01;

/// What those of `names` are played with that are keys of their own.
pub fn keys(names: &[String]) -> Vec<ControlConfig> {
    const OTHER: [(&str, &str); 13] = [
        ("mouse_x", "mouse-x"),
        ("mouse_y", "mouse-y"),
        ("MOUSE1", "mouse-left"),
        ("MOUSE2", "mouse-right"),
        ("MOUSE3", "mouse-middle"),
        ("SPACE", "space"),
        ("SHIFT", "shift"),
        ("CTRL", "ctrl"),
        ("TAB", "tab"),
        ("UP", "up"),
        ("DOWN", "down"),
        ("LEFT", "left"),
        ("RIGHT", "right"),
    ];
    let key = |name: &str| match OTHER.iter().find(|(other, _)| *other == name) {
        Some((_, key)) => Some((*key).to_owned()),
        None if name.len() == 1 => Some(name.to_ascii_lowercase()),
        None => None,
    };
    let value = |name: &str| if name.starts_with("mouse_") { PIXEL } else { 1.0 };
    names.iter().filter_map(|name| Some(ControlConfig::new(&key(name)?, name, value(name)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_has_a_name_of_its_own() {
        let names = names(256);
        assert_eq!(names.len(), 259);
        for (code, name) in [(87, "W"), (83, "S"), (65, "A"), (68, "D"), (32, "SPACE"), (1, "MOUSE1"), (113, "F2")] {
            assert_eq!(names[2 + code], name);
        }
        let keys = keys(&names);
        assert_eq!(keys.len(), 2 + 11 + 36);
        assert!(keys.contains(&ControlConfig::new("w", "W", 1.0)));
        assert!(keys.contains(&ControlConfig::new("mouse-x", "mouse_x", PIXEL)));
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len());
    }
}

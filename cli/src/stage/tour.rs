//! The scripted walk that recordings and benchmarks play: the same actions and events every time.

/// One stretch of a tour: the actions held, and for how many frames.
const STEPS: [(&[&str], u64); 10] = [
    (&["right"], 34),
    (&["forward"], 14),
    (&["right"], 8),
    (&["forward"], 12),
    (&["left"], 16),
    (&["attack", "use"], 3),
    (&["forward", "left"], 10),
    (&["forward"], 14),
    (&["back"], 6),
    (&["forward", "right"], 12),
];

/// The same for a model whose actions last: there and back, counted in movements. One step only, as a wall would stop a second one and not
/// the way back.
const MOVEMENTS: [(&[&str], u64); 16] = [
    (&[], 2),
    (&["right"], 1),
    (&[], 1),
    (&["forward"], 1),
    (&[], 1),
    (&["right"], 1),
    (&[], 1),
    (&["use"], 1),
    (&[], 2),
    (&["left"], 1),
    (&["back"], 1),
    (&[], 1),
    (&["left"], 2),
    (&[], 1),
    (&["right"], 1),
    (&[], 2),
];

/// What a walk's actions are called where they are buttons.
const BUTTONS: [(&str, &str); 6] =
    [("forward", "W"), ("back", "S"), ("left", "A"), ("right", "D"), ("attack", "MOUSE1"), ("use", "E")];

/// What happens at every frame of a walk.
#[derive(Clone, Debug)]
pub struct Tour {
    /// Action vectors with the frame after their last one; the list repeats.
    steps: Vec<(Vec<f32>, u64)>,
    length: u64,
    events: u64,
    first_event: u64,
    /// Frames under one event.
    span: u64,
}

impl Tour {
    /// A walk of `frames` frames with every event in turn, beginning with `event`. Actions that the model lacks are left out; each
    /// lasts `latch` frames.
    pub fn new(actions: &[String], events: usize, event: usize, frames: u64, latch: usize) -> Self {
        let mut length = 0;
        let (steps, unit) = if latch > 1 { (&MOVEMENTS[..], latch as u64) } else { (&STEPS[..], 1) };
        let vector = |held: &[&str]| {
            let button =
                |name: &str| BUTTONS.iter().find(|(_, button)| *button == name).map_or("", |(action, _)| action);
            let down =
                |name: &String| f32::from(u8::from(held.contains(&name.as_str()) || held.contains(&button(name))));
            actions.iter().map(down).collect()
        };
        let steps = steps.iter().map(|&(held, count)| {
            length += unit * count;
            (vector(held), length)
        });
        let steps = steps.collect();
        let (events, span) = (events as u64, frames.div_ceil(events.max(1) as u64).max(1));
        Self { steps, length, events, first_event: event as u64, span }
    }

    /// One action for the whole walk, and no events.
    pub fn holding(action: Vec<f32>) -> Self {
        Self { steps: vec![(action, 1)], length: 1, events: 0, first_event: 0, span: 1 }
    }

    /// The action held at a frame.
    pub fn action(&self, frame: u64) -> &[f32] {
        let at = frame % self.length;
        let step = self.steps.partition_point(|(_, end)| *end <= at);
        &self.steps[step].0
    }

    /// The event that begins at a frame, if one does.
    pub fn event(&self, frame: u64) -> Option<usize> {
        let begins = self.events > 0 && frame.is_multiple_of(self.span);
        begins.then(|| ((self.first_event + frame / self.span) % self.events) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tour_walks_turns_and_shows_every_event() {
        let actions: Vec<String> = ["left", "forward", "fly"].map(str::to_owned).to_vec();
        let tour = Tour::new(&actions, 3, 1, 90, 1);
        assert_eq!(tour.action(0), [0.0; 3]);
        assert_eq!(tour.action(34), [0.0, 1.0, 0.0]);
        assert_eq!(tour.action(68), [1.0, 0.0, 0.0]);
        let period: u64 = STEPS.iter().map(|step| step.1).sum();
        assert_eq!(tour.action(68 + period), tour.action(68));
        let events: Vec<_> = (0..90).filter_map(|frame| Some((frame, tour.event(frame)?))).collect();
        assert_eq!(events, [(0, 1), (30, 2), (60, 0)]);
    }

    #[test]
    fn movements_last_and_lead_back() {
        let actions: Vec<String> = ["forward", "back", "left", "right"].map(str::to_owned).to_vec();
        let tour = Tour::new(&actions, 1, 0, 400, 5);
        let whole = 5 * MOVEMENTS.iter().map(|movement| movement.1).sum::<u64>();
        assert!((0..whole).all(|frame| tour.action(frame) == tour.action(frame / 5 * 5)));
        let count = |key: usize| (0..whole).filter(|&frame| tour.action(frame)[key] == 1.0).count();
        assert_eq!((count(0), count(2)), (count(1), count(3)), "it ends where it began");
    }

    #[test]
    fn holding_an_action_changes_nothing_else() {
        let tour = Tour::holding(vec![0.5]);
        assert!((0..1000).all(|frame| tour.action(frame) == [0.5] && tour.event(frame).is_none()));
    }
}

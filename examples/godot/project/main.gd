extends Control
## Plays a world: arrow keys or WASD, space, 1-9 for events or stored prompts; a line takes prompts in words where the node has an
## encoder; F5 saves the game, F9 loads it.
##
## With `-- --tour BUNDLE SCRIPT SAVE [ENCODER]` it plays a script of prompts (tests/src/tour.rs); with `-- --walk SCRIPT FRAMES OUT` it plays a script instead (a line a frame: actions, then an event or -1), writes the frames to
## OUT.rgba and the window's contents to OUT.png, and quits.

const SAVED := "user://world.save"
const KEYS := {
	"forward": [KEY_UP, KEY_W], "back": [KEY_DOWN, KEY_S], "left": [KEY_LEFT, KEY_A], "right": [KEY_RIGHT, KEY_D],
	"attack": [KEY_SPACE],
}

@onready var world: NeuralWorld = $World
@onready var view: TextureRect = $View
@onready var bar: ProgressBar = $Bar
@onready var line: LineEdit = $Line


func _ready() -> void:
	view.texture = world.get_texture()
	line.visible = world.encoder_path != ""
	line.text_submitted.connect(func(words: String) -> void:
		world.say(words)
		line.clear()
		line.release_focus())
	var arguments := OS.get_cmdline_user_args()
	if arguments.size() == 4 and arguments[0] == "--walk":
		set_process(false)
		walk(arguments[1], int(arguments[2]), arguments[3])
	if arguments.size() >= 4 and arguments[0] == "--tour":
		set_process(false)
		tour(arguments[1], arguments[2], arguments[3], arguments[4] if arguments.size() > 4 else "")


func _process(_delta: float) -> void:
	if not world.is_open():
		return
	# While it is created, and while words are encoded, there is a bar, and the game goes on.
	var done := minf(world.get_progress(), world.get_say_progress())
	bar.visible = done < 1.0
	bar.value = done
	if world.get_progress() < 1.0 or world.get_action_names().is_empty() or line.has_focus():
		return
	var action := PackedFloat32Array()
	for name in world.get_action_names():
		var held: bool = KEYS.get(name, []).any(Input.is_physical_key_pressed)
		action.append(1.0 if held else 0.0)
	world.set_action(action)


func _unhandled_key_input(event: InputEvent) -> void:
	if event.is_pressed() and not event.is_echo():
		if event.keycode == KEY_F5:
			store(SAVED)
		if event.keycode == KEY_F9 and FileAccess.file_exists(SAVED):
			world.load(FileAccess.get_file_as_bytes(SAVED))
		var number: int = event.keycode - KEY_1
		if number >= 0 and number < world.get_event_names().size():
			world.queue_event(number)
		if number >= 0 and number < world.get_prompt_names().size():
			world.prompt(number)


## A game that was saved before is not lost if this one does not come to its end.
func store(path: String) -> void:
	var file := FileAccess.open(path + ".new", FileAccess.WRITE)
	file.store_buffer(world.save())
	file.close()
	DirAccess.rename_absolute(path + ".new", path)


func tour(bundle: String, script: String, saved: String, encoder: String) -> void:
	var lines := FileAccess.get_file_as_string(script).split("\n", false)
	var head := lines[0].split_floats(" ")
	world.model_path = bundle
	world.encoder_path = encoder
	world.device = 1  # the CPU, whose frames are the same on every machine
	world.seed = int(head[0])
	world.budget_ms = 1000.0
	world.keep_pace = false  # every frame is asked for
	world.open()
	await world.world_ready
	bar.visible = false
	var goes_on := FileAccess.file_exists(saved)
	if goes_on and not world.load(FileAccess.get_file_as_bytes(saved)):
		return get_tree().quit(1)
	var last := int(head[2] if goes_on else head[1])
	# The first frame's number is known only of a new game.
	var next := -1 if goes_on else 0
	for played in 1000:
		if played == last and goes_on:
			return get_tree().quit()
		if played == last:
			store(saved)
			print("saved ", OS.get_process_id())
		for told in lines.slice(1):
			var words := told.split(" ", true, 2)
			if int(words[0]) == next:
				# The script waits for what it says, so that it always shows in the same frame.
				world.playing = false
				if not (world.say(words[2]) if words[1] == "say" else world.prompt(int(words[2]))):
					return get_tree().quit(1)
				await world.prompt_told
				world.playing = true
		await world.frame_ready
		next = world.get_receipt()["frame"] + 1
		print(next - 1, " ", fnv(world.get_image().get_data()))
	get_tree().quit(1)


## FNV-1a.
func fnv(bytes: PackedByteArray) -> String:
	var hashed := -3750763034362895579
	for byte in bytes:
		hashed = (hashed ^ byte) * 0x100000001b3
	return String.num_uint64(hashed, 16).lpad(16, "0")


func walk(script: String, count: int, out: String) -> void:
	var lines := FileAccess.get_file_as_string(script).split("\n", false)
	var frames := FileAccess.open(out + ".rgba", FileAccess.WRITE)
	world.device = 1  # the CPU, whose frames are the same on every machine
	world.seed = int(lines[0].get_slice(" ", 0))
	world.budget_ms = 1000.0
	world.keep_pace = false  # every frame is asked for
	world.open()
	await world.world_ready
	bar.visible = false
	for line in lines.slice(1, 1 + count):
		var numbers := line.split_floats(" ")
		world.set_action(PackedFloat32Array(Array(numbers.slice(0, -1))))
		if numbers[-1] >= 0:
			world.queue_event(int(numbers[-1]))
		await world.frame_ready
		frames.store_buffer(world.get_image().get_data())
	world.playing = false
	frames.close()
	await RenderingServer.frame_post_draw
	var picture := get_viewport().get_texture().get_image()
	picture.save_png(out + ".png")
	# A saved game, and on from it in a world that is created anew.
	var saved := world.save()
	world.playing = true
	world.open()
	await world.world_ready
	if saved.size() > 0 and world.load(saved):
		await world.frame_ready
		print("went on at frame ", world.get_receipt()["frame"])
	print("walked ", count, " frames on ", RenderingServer.get_video_adapter_name())
	get_tree().quit()

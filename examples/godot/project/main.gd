extends Control
## Plays a world: arrow keys or WASD, space, 1-9 for events; F5 saves the game, F9 loads it.
##
## With `-- --walk SCRIPT FRAMES OUT` it plays a script instead (a line a frame: actions, then an event or -1), writes the frames to
## OUT.rgba and the window's contents to OUT.png, and quits.

const SAVED := "user://world.save"
const KEYS := {
	"forward": [KEY_UP, KEY_W], "back": [KEY_DOWN, KEY_S], "left": [KEY_LEFT, KEY_A], "right": [KEY_RIGHT, KEY_D],
	"attack": [KEY_SPACE],
}

@onready var world: NeuralWorld = $World
@onready var view: TextureRect = $View
@onready var bar: ProgressBar = $Bar


func _ready() -> void:
	view.texture = world.get_texture()
	var arguments := OS.get_cmdline_user_args()
	if arguments.size() == 4 and arguments[0] == "--walk":
		set_process(false)
		walk(arguments[1], int(arguments[2]), arguments[3])


func _process(_delta: float) -> void:
	if not world.is_open():
		return
	# While it is created there is a bar, and the game goes on.
	bar.visible = world.get_progress() < 1.0
	bar.value = world.get_progress()
	if bar.visible:
		return
	var action := PackedFloat32Array()
	for name in world.get_action_names():
		var held: bool = KEYS.get(name, []).any(Input.is_physical_key_pressed)
		action.append(1.0 if held else 0.0)
	world.set_action(action)


func _unhandled_key_input(event: InputEvent) -> void:
	if event.is_pressed() and not event.is_echo():
		if event.keycode == KEY_F5:
			FileAccess.open(SAVED, FileAccess.WRITE).store_buffer(world.save())
		if event.keycode == KEY_F9 and FileAccess.file_exists(SAVED):
			world.load(FileAccess.get_file_as_bytes(SAVED))
		var number: int = event.keycode - KEY_1
		if number >= 0 and number < world.get_event_names().size():
			world.queue_event(number)


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

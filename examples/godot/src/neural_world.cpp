#include "neural_world.hpp"

#include <algorithm>
#include <cstring>

namespace godot {

namespace {

// Object::NOTIFICATION_..., Image::FORMAT_RGBA8, PropertyHint.
constexpr int32_t EXIT_TREE = 11, READY = 13, PROCESS = 17;
constexpr int64_t RGBA8 = 5;
constexpr uint32_t HINT_RANGE = 1, HINT_ENUM = 2, HINT_FILE = 13;

}  // namespace

bool NeuralWorld::good(CwStatus status) {
    if (status >= 0) {
        return true;
    }
    char text[512];
    cw_last_error(text, sizeof text, nullptr);
    engine.print_error_with_message(text, "", "NeuralWorld", "", 0, false);
    return false;
}

// Before the world is there a call does nothing, and is no error.
bool NeuralWorld::done(CwStatus status) { return good(status) && status != CW_PENDING; }

// The whole file through the engine, which also reads packed projects.
static Variant file(const std::string &path) {
    Name database("ClassDB");
    Variant classes(engine.global_get_singleton(&database));
    return classes.call("class_call_static", {"FileAccess", "get_file_as_bytes", std::string_view(path)});
}

bool NeuralWorld::open_model(const std::string &path, CwModel **model) {
    // What is a file is read piece by piece, and not held in memory.
    Name name("ProjectSettings");
    const std::string real = Variant(engine.global_get_singleton(&name)).call("globalize_path", {std::string_view(path)}).text();
    const CwStatus status = cw_model_open_path(real.data(), real.size(), model);
    if (status != CW_ERROR_IO) {
        return good(status);
    }
    Variant weights = file(path);
    const bool found = weights.type() == GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY && weights.size() > 0;
    if (!found) {
        const std::string text = "the model file `" + path + "` cannot be read";
        engine.print_error_with_message(text.c_str(), "", "NeuralWorld", "", 0, false);
        return false;
    }
    return good(cw_model_open_memory(weights.bytes(), static_cast<size_t>(weights.size()), CW_MEMORY_COPY, model));
}

bool NeuralWorld::start() {
    CwDeviceOptions on{};
    on.struct_size = sizeof on;
    cw_device_options_init(&on);
    on.kind = static_cast<uint32_t>(device_kind_);
    CwSessionOptions options{};
    options.struct_size = sizeof options;
    cw_session_options_init(&options);
    options.seed = static_cast<uint64_t>(seed_);
    options.pace = keep_pace_ ? CW_PACE_HELD : CW_PACE_OFF;
    options.governor = keep_pace_ ? 1 : 0;
    info_.struct_size = sizeof info_;
    made_.struct_size = sizeof made_;
    if (!good(cw_device_create(&on, &device_)) || !open_model(model_path_, &model_) || !good(cw_model_info(model_, &info_))) {
        return false;
    }
    const bool prompts = (info_.takes & CW_TAKES_PROMPT) != 0;
    if (prompts) {
        options.codec = model_;  // a bundle: both are in one file
        options.recache = 1;     // what is told shows at once
    }
    if (!good(cw_session_create_begin(device_, model_, &options, &session_)) || !good(cw_session_info(session_, &made_)) || !start_text()) {
        return false;
    }
    told_ = !prompts;
    // The library's thread would not wait for a first prompt.
    return !own_thread_ || prompts || good(cw_session_start_worker(session_));
}

Variant NeuralWorld::open(const Variant *) {
    close();
    if (!start()) {
        close();
        return false;
    }
    const int64_t width = made_.width, height = made_.height;
    bytes_ = Variant::empty(GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY);
    bytes_.call("resize", {4 * width * height});
    image_ = Variant::make("Image");
    image_.call("set_data", {width, height, false, RGBA8, bytes_});
    if (texture_.is_nil()) {
        texture_ = Variant::make("ImageTexture");
    }
    texture_.call("set_image", {image_});
    waits_ = true;
    Variant(object_).call("set_process", {true});
    return true;
}

void NeuralWorld::close() {
    teller_ = {};
    cw_session_destroy(session_);
    cw_text_destroy(text_);
    cw_model_destroy(model_);
    cw_device_destroy(device_);
    session_ = nullptr;
    text_ = nullptr;
    model_ = nullptr;
    device_ = nullptr;
    receipt_ = {};
    waits_ = false;
    told_ = false;
}

Variant NeuralWorld::close(const Variant *) {
    close();
    return {};
}

Variant NeuralWorld::is_open(const Variant *) { return session_ != nullptr; }

void NeuralWorld::notification(int32_t what) {
    switch (what) {
    case READY: {
        Name name("Engine");
        const bool editor = Variant(engine.global_get_singleton(&name)).call("is_editor_hint").boolean();
        if (!editor && !model_path_.empty() && session_ == nullptr) {
            open(nullptr);
        }
        break;
    }
    case PROCESS: process(); break;
    case EXIT_TREE: close(); break;
    default: break;
    }
}

// One frame of the game: some work, and at most one frame of the world.
void NeuralWorld::process() {
    if (session_ == nullptr) {
        return;
    }
    auto micros = static_cast<uint32_t>(std::clamp(1000.0 * budget_ms_, 0.0, 4e9));
    if (!waits_) {
        // Words are encoded while the world plays, and also while it does not.
        micros = teller_.encodes() ? micros / 2 : micros;
        tell(micros);
    }
    if (!waits_ && (!playing_ || !told_)) {
        return;
    }
    if ((!own_thread_ || !told_) && !good(cw_session_pump(session_, micros))) {
        return close();
    }
    if (!is_there()) {
        return;
    }
    CwImage target{};
    target.struct_size = sizeof target;
    target.bytes = size_t{4} * made_.width * made_.height;
    target.pixels = bytes_.bytes();
    receipt_.struct_size = sizeof receipt_;
    const CwStatus status = cw_session_poll_frame(session_, &target, &receipt_);
    if (!good(status)) {
        return close();
    }
    if (status == CW_OK) {
        image_.call("set_data", {int64_t{made_.width}, int64_t{made_.height}, false, RGBA8, bytes_});
        texture_.call("update", {image_});
        Variant(object_).call("emit_signal", {"frame_ready", static_cast<int64_t>(receipt_.frame)});
    }
}

bool NeuralWorld::is_there() {
    if (!waits_) {
        return true;
    }
    // What creating it failed of is told here too, where a thread of the library's does it.
    CwProgress progress{};
    progress.struct_size = sizeof progress;
    if (!good(cw_session_progress(session_, &progress))) {
        close();
    } else if (progress.stage == CW_STAGE_READY) {
        waits_ = false;
        good(playing_ ? cw_session_resume(session_) : cw_session_pause(session_));
        Variant(object_).call("emit_signal", {"world_ready"});
        // A stream of prompts begins with the first one, where the game has not said another one.
        if (session_ != nullptr && !told_ && !teller_.waits()) {
            teller_.tell(0);
        }
    }
    // It plays from the game's next frame on, so that the game has the first word.
    return false;
}

// How far the creation is, for a progress bar; 1 once the world is there.
Variant NeuralWorld::progress(const Variant *) {
    CwProgress progress{};
    progress.struct_size = sizeof progress;
    if (session_ == nullptr || !good(cw_session_progress(session_, &progress))) {
        return 0.0;
    }
    if (!waits_) {
        return 1.0;
    }
    const double share = progress.total > 0 ? static_cast<double>(progress.done) / static_cast<double>(progress.total) : 0.0;
    // Kernels of a GPU are the second half.
    const bool gpu = made_.device == CW_DEVICE_GPU;
    return std::min(0.99, !gpu ? share : progress.stage == CW_STAGE_PIPELINES ? 0.5 + share / 2 : share / 2);
}

Variant NeuralWorld::set_quality(const Variant *arguments) {
    const auto value = [arguments](int at) { return static_cast<int32_t>(arguments[at].integer()); };
    return done(cw_session_set_quality(session_, value(0), value(1), value(2)));
}

Variant NeuralWorld::set_playing(const Variant *arguments) {
    playing_ = arguments[0].boolean();
    if (session_ != nullptr && !waits_) {
        good(playing_ ? cw_session_resume(session_) : cw_session_pause(session_));
    }
    return {};
}

Variant NeuralWorld::set_action(const Variant *arguments) {
    Variant action = arguments[0];
    const int64_t count = action.size();
    uint64_t ticket = 0;
    good(cw_session_set_action(session_, count > 0 ? action.floats() : nullptr, static_cast<uint32_t>(count), &ticket));
    return static_cast<int64_t>(ticket);
}

Variant NeuralWorld::queue_event(const Variant *arguments) {
    uint64_t ticket = 0;
    const auto frame = static_cast<uint64_t>(arguments[1].integer());
    good(cw_session_queue_event(session_, static_cast<uint32_t>(arguments[0].integer()), frame, &ticket));
    return static_cast<int64_t>(ticket);
}

Variant NeuralWorld::names(uint32_t count, CwStatus (*name)(const CwModel *, uint32_t, char *, size_t, size_t *)) {
    Variant list = Variant::empty(GDEXTENSION_VARIANT_TYPE_PACKED_STRING_ARRAY);
    for (uint32_t i = 0; i < count; i++) {
        char text[256];
        if (!good(name(model_, i, text, sizeof text, nullptr))) {
            break;
        }
        list.call("append", {text});
    }
    return list;
}

Variant NeuralWorld::action_names(const Variant *) {
    return names(model_ != nullptr ? info_.actions : 0, cw_model_action_name);
}

Variant NeuralWorld::event_names(const Variant *) {
    return names(model_ != nullptr ? info_.events : 0, cw_model_event_name);
}

// The same texture for the life of the node, so that a scene can take it before there is a frame.
Variant NeuralWorld::texture(const Variant *) {
    if (texture_.is_nil()) {
        texture_ = Variant::make("ImageTexture");
    }
    return texture_;
}

Variant NeuralWorld::image(const Variant *) { return image_; }

Variant NeuralWorld::receipt(const Variant *) {
    Variant all = Variant::empty(GDEXTENSION_VARIANT_TYPE_DICTIONARY);
    const auto put = [&all](const char *name, uint64_t value) {
        all.call("set", {name, static_cast<int64_t>(value)});
    };
    put("frame", receipt_.frame);
    put("event", receipt_.event);
    put("action_ticket", receipt_.action_ticket);
    put("event_ticket", receipt_.event_ticket);
    put("first_of_action", receipt_.first_of_action);
    put("first_of_event", receipt_.first_of_event);
    put("began", receipt_.began);
    put("ready", receipt_.ready);
    return all;
}

Variant NeuralWorld::stats(const Variant *) {
    Variant all = Variant::empty(GDEXTENSION_VARIANT_TYPE_DICTIONARY);
    CwStats stats{};
    stats.struct_size = sizeof stats;
    if (good(cw_session_stats(session_, &stats))) {
        all.call("set", {"frames", static_cast<int64_t>(stats.frames)});
        all.call("set", {"pumps", static_cast<int64_t>(stats.pumps)});
        all.call("set", {"pump_micros", static_cast<int64_t>(stats.pump_micros)});
        all.call("set", {"longest_pump_micros", static_cast<int64_t>(stats.longest_pump_micros)});
    }
    return all;
}

// Both may be empty: with no session, or one that is not there yet.
Variant NeuralWorld::snapshot(const Variant *) { return written(cw_session_snapshot); }

Variant NeuralWorld::save(const Variant *) { return written(cw_session_save); }

Variant NeuralWorld::load(const Variant *arguments) {
    Variant saved = arguments[0];
    const int64_t count = saved.size();
    const CwStatus status = cw_session_load(session_, count > 0 ? saved.bytes() : nullptr, static_cast<size_t>(count));
    return done(status) && remembered();
}

Variant NeuralWorld::written(CwStatus (*write)(CwSession *, void *, size_t, size_t *)) {
    Variant saved = Variant::empty(GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY);
    size_t needed = 0;
    if (session_ != nullptr) {
        // What is needed may grow while a thread of the library's plays: there is room for the most.
        const uint64_t most = write == cw_session_save ? made_.save_bytes : made_.snapshot_bytes;
        saved.call("resize", {static_cast<int64_t>(most)});
        const bool written = done(write(session_, saved.bytes(), most, &needed));
        saved.call("resize", {written ? static_cast<int64_t>(needed) : int64_t{0}});
    }
    return saved;
}

Variant NeuralWorld::restore(const Variant *arguments) {
    Variant saved = arguments[0];
    const int64_t count = saved.size();
    const CwStatus status = cw_session_restore(session_, count > 0 ? saved.bytes() : nullptr, static_cast<size_t>(count));
    return done(status) && remembered();
}

Variant NeuralWorld::reset(const Variant *arguments) {
    seed_ = arguments[0].integer();
    const bool well = done(cw_session_reset(session_, static_cast<uint64_t>(seed_)));
    // A first prompt that waited for its chunk is dropped.
    if (well && receipt_.pictures == 0) {
        teller_.tell(0);
    }
    return well;
}

void NeuralWorld::add() {
    using W = NeuralWorld;
    using C = Class<W>;
    constexpr auto NIL = GDEXTENSION_VARIANT_TYPE_NIL, BOOL = GDEXTENSION_VARIANT_TYPE_BOOL,
                   INT = GDEXTENSION_VARIANT_TYPE_INT, FLOAT = GDEXTENSION_VARIANT_TYPE_FLOAT,
                   STRING = GDEXTENSION_VARIANT_TYPE_STRING, OBJECT = GDEXTENSION_VARIANT_TYPE_OBJECT,
                   DICTIONARY = GDEXTENSION_VARIANT_TYPE_DICTIONARY,
                   BYTES = GDEXTENSION_VARIANT_TYPE_PACKED_BYTE_ARRAY,
                   FLOATS = GDEXTENSION_VARIANT_TYPE_PACKED_FLOAT32_ARRAY,
                   STRINGS = GDEXTENSION_VARIANT_TYPE_PACKED_STRING_ARRAY;
    C::add();

    C::method({"set_model_path", NIL, &W::set_model_path, {{"path", STRING}}});
    C::method({"get_model_path", STRING, &W::get_model_path});
    C::property({"model_path", STRING, HINT_FILE, "*.safetensors"}, "set_model_path", "get_model_path");
    C::method({"set_encoder_path", NIL, &W::set_encoder_path, {{"path", STRING}}});
    C::method({"get_encoder_path", STRING, &W::get_encoder_path});
    C::property({"encoder_path", STRING, HINT_FILE, "*.safetensors"}, "set_encoder_path", "get_encoder_path");
    C::method({"set_seed", NIL, &W::set_seed, {{"seed", INT}}});
    C::method({"get_seed", INT, &W::get<int64_t, &W::seed_>});
    C::property({"seed", INT}, "set_seed", "get_seed");
    C::method({"set_device", NIL, &W::set_device, {{"device", INT}}});
    C::method({"get_device", INT, &W::get<int64_t, &W::device_kind_>});
    C::property({"device", INT, HINT_ENUM, "Auto,CPU,GPU"}, "set_device", "get_device");
    C::method({"set_budget_ms", NIL, &W::set_budget, {{"budget_ms", FLOAT}}});
    C::method({"get_budget_ms", FLOAT, &W::get<double, &W::budget_ms_>});
    C::property({"budget_ms", FLOAT, HINT_RANGE, "0.1,100,0.1"}, "set_budget_ms", "get_budget_ms");
    C::method({"set_own_thread", NIL, &W::set_own_thread, {{"own_thread", BOOL}}});
    C::method({"get_own_thread", BOOL, &W::get<bool, &W::own_thread_>});
    C::property({"own_thread", BOOL}, "set_own_thread", "get_own_thread");
    C::method({"set_keep_pace", NIL, &W::set_keep_pace, {{"keep_pace", BOOL}}});
    C::method({"get_keep_pace", BOOL, &W::get<bool, &W::keep_pace_>});
    C::property({"keep_pace", BOOL}, "set_keep_pace", "get_keep_pace");
    C::method({"set_playing", NIL, &W::set_playing, {{"playing", BOOL}}});
    C::method({"get_playing", BOOL, &W::get<bool, &W::playing_>});
    C::property({"playing", BOOL}, "set_playing", "get_playing");

    C::method({"open", BOOL, &W::open});
    C::method({"close", NIL, &W::close});
    C::method({"is_open", BOOL, &W::is_open});
    C::method({"set_action", INT, &W::set_action, {{"action", FLOATS}}});
    C::method({"queue_event", INT, &W::queue_event, {{"event", INT}, {"frame", INT}}, {int64_t{0}}});
    C::method({"get_action_names", STRINGS, &W::action_names});
    C::method({"get_event_names", STRINGS, &W::event_names});
    C::method({"get_prompt_names", STRINGS, &W::prompt_names});
    C::method({"prompt", BOOL, &W::prompt, {{"index", INT}}});
    C::method({"say", BOOL, &W::say, {{"text", STRING}}});
    C::method({"get_say_progress", FLOAT, &W::saying});
    C::method({"get_texture", OBJECT, &W::texture});
    C::method({"get_image", OBJECT, &W::image});
    C::method({"get_receipt", DICTIONARY, &W::receipt});
    C::method({"get_stats", DICTIONARY, &W::stats});
    C::method({"snapshot", BYTES, &W::snapshot});
    C::method({"restore", BOOL, &W::restore, {{"saved", BYTES}}});
    C::method({"save", BYTES, &W::save});
    C::method({"load", BOOL, &W::load, {{"saved", BYTES}}});
    C::method({"set_quality", BOOL, &W::set_quality, {{"steps", INT}, {"route", INT}, {"window", INT}}, {int64_t{-1}, int64_t{-1}}});
    C::method({"get_progress", FLOAT, &W::progress});
    C::method({"reset", BOOL, &W::reset, {{"seed", INT}}});
    C::signal("frame_ready", "frame", INT);
    C::signal("world_ready");
    C::signal("prompt_told", "ticket", INT);
}

}  // namespace godot

static void initialize(void *, GDExtensionInitializationLevel level) {
    if (level == GDEXTENSION_INITIALIZATION_SCENE) {
        godot::NeuralWorld::add();
    }
}

static void deinitialize(void *, GDExtensionInitializationLevel level) {
    if (level == GDEXTENSION_INITIALIZATION_SCENE) {
        godot::Class<godot::NeuralWorld>::remove();
        cw_shutdown();
    }
}

// Named in causeway.gdextension.
extern "C" __attribute__((visibility("default"))) GDExtensionBool
causeway_godot(GDExtensionInterfaceGetProcAddress get, GDExtensionClassLibraryPtr library,
               GDExtensionInitialization *initialization) {
    if (!godot::engine.find(get, library)) {
        return 0;
    }
    *initialization = {GDEXTENSION_INITIALIZATION_SCENE, nullptr, initialize, deinitialize};
    return 1;
}

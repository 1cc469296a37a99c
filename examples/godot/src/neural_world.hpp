// The node: a session of a neural world that computes within a budget of every frame of the game.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "causeway.hpp"
#include "class.hpp"

namespace godot {

class NeuralWorld {
public:
    static constexpr const char *NAME = "NeuralWorld", *PARENT = "Node";

    // Makes the class known to the engine.
    static void add();

    explicit NeuralWorld(GDExtensionObjectPtr object) : object_(object) {}
    ~NeuralWorld() { close(); }

    void notification(int32_t what);

private:
    // Methods as scripts call them; arguments in the order of `add`.
    Variant open(const Variant *);
    Variant close(const Variant *);
    Variant is_open(const Variant *);
    Variant set_action(const Variant *);
    Variant queue_event(const Variant *);
    Variant action_names(const Variant *);
    Variant event_names(const Variant *);
    Variant texture(const Variant *);
    Variant image(const Variant *);
    Variant receipt(const Variant *);
    Variant stats(const Variant *);
    Variant snapshot(const Variant *);
    Variant restore(const Variant *);
    Variant reset(const Variant *);
    Variant save(const Variant *);
    Variant load(const Variant *);
    Variant set_quality(const Variant *);
    Variant progress(const Variant *);
    Variant prompt_names(const Variant *);
    Variant prompt(const Variant *);
    Variant say(const Variant *);
    Variant saying(const Variant *);

    void close();
    bool start();
    bool start_text();
    void process();
    // Opens a file of the project or of the system.
    bool open_model(const std::string &path, CwModel **model);
    void tell(uint32_t micros);
    // The first prompt was told, or is in a game that was loaded: frames can come.
    bool begin();
    bool remembered();
    // Whether the session is there.
    bool is_there();
    Variant written(CwStatus (*write)(CwSession *, void *, size_t, size_t *));
    // False, and an error in Godot's output, if the status is one.
    bool good(CwStatus status);
    // The same, if the world is there.
    bool done(CwStatus status);
    Variant names(uint32_t count, CwStatus (*name)(const CwModel *, uint32_t, char *, size_t, size_t *));

    GDExtensionObjectPtr object_;
    CwDevice *device_ = nullptr;
    CwModel *model_ = nullptr;
    CwSession *session_ = nullptr;
    CwModelInfo info_{};
    CwSessionInfo made_{};
    CwText *text_ = nullptr;
    causeway::Teller teller_;
    CwReceipt receipt_{};
    // The stream knows what to show: a world always does, one of prompts once it was told one.
    bool told_ = false;
    // The session was begun, and is not there yet.
    bool waits_ = false;
    // The newest frame, as Godot has it: bytes, picture, texture.
    Variant bytes_, image_, texture_;

    // Properties.
    std::string model_path_, encoder_path_;
    int64_t seed_ = 0;
    int64_t device_kind_ = CW_DEVICE_AUTO;
    double budget_ms_ = 2.0;
    bool own_thread_ = false;
    bool playing_ = true;
    bool keep_pace_ = true;

    template <typename T, T NeuralWorld::*FIELD> Variant get(const Variant *) { return Variant(this->*FIELD); }
    Variant get_model_path(const Variant *) { return Variant(std::string_view(model_path_)); }
    Variant set_model_path(const Variant *arguments) { return model_path_ = arguments[0].text(), Variant(); }
    Variant get_encoder_path(const Variant *) { return Variant(std::string_view(encoder_path_)); }
    Variant set_encoder_path(const Variant *arguments) { return encoder_path_ = arguments[0].text(), Variant(); }
    Variant set_seed(const Variant *arguments) { return seed_ = arguments[0].integer(), Variant(); }
    Variant set_device(const Variant *arguments) { return device_kind_ = arguments[0].integer(), Variant(); }
    Variant set_budget(const Variant *arguments) { return budget_ms_ = arguments[0].number(), Variant(); }
    Variant set_own_thread(const Variant *arguments) { return own_thread_ = arguments[0].boolean(), Variant(); }
    Variant set_keep_pace(const Variant *arguments) { return keep_pace_ = arguments[0].boolean(), Variant(); }
    Variant set_playing(const Variant *arguments);
};

}  // namespace godot

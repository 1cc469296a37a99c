// What the node is told in words: prompts that its file stores, and what a player types.
#include "neural_world.hpp"

namespace godot {

bool NeuralWorld::start_text() {
    if (encoder_path_.empty()) {
        teller_ = causeway::Teller(session_, model_);
        return true;
    }
    CwModel *encoder = nullptr;
    CwTextOptions how{};
    how.struct_size = sizeof how;
    how.most_rows = info_.prompt_rows;
    const bool well = open_model(encoder_path_, &encoder) && good(cw_text_create(device_, encoder, &how, &text_));
    cw_model_destroy(encoder);
    teller_ = causeway::Teller(session_, model_, text_);
    return well;
}

void NeuralWorld::tell(uint32_t micros) {
    if (!teller_.waits()) {
        return;
    }
    if (!good(teller_.pump(micros))) {
        // What was said is lost, the world is not.
        teller_.forget();
    } else if (!teller_.waits() && begin()) {
        Variant(object_).call("emit_signal", {"prompt_told", static_cast<int64_t>(teller_.ticket())});
    }
}

bool NeuralWorld::begin() {
    if (!told_ && own_thread_ && !good(cw_session_start_worker(session_))) {
        close();
        return false;
    }
    told_ = true;
    return true;
}

// After a game was loaded, with what it was told.
bool NeuralWorld::remembered() {
    teller_.forget();
    return begin();
}

Variant NeuralWorld::prompt_names(const Variant *) { return names(model_ != nullptr ? info_.prompts : 0, cw_model_prompt_name); }

Variant NeuralWorld::prompt(const Variant *arguments) {
    const int64_t index = arguments[0].integer();
    return index >= 0 && index < int64_t{info_.prompts} && teller_.tell(static_cast<uint32_t>(index));
}

Variant NeuralWorld::say(const Variant *arguments) {
    if (text_ == nullptr) {
        engine.print_error_with_message("a prompt in words needs a text encoder: `encoder_path`", "", "NeuralWorld", "", 0, false);
        return false;
    }
    return good(teller_.say(arguments[0].text()));
}

// How far the words are, for a progress bar; 1 where there are none on their way.
Variant NeuralWorld::saying(const Variant *) { return static_cast<double>(teller_.progress()); }

}  // namespace godot

// Causeway for C++17: owners that end what they hold, errors as exceptions of one type. Header only; link the C library.
//
//     causeway::Device device;
//     auto model = causeway::Model::open("rooms.safetensors");
//     causeway::Session session(device, model);
//     session.action({1, 0, 0, 0, 0});
//     session.pump(2000);
//     if (auto receipt = session.frame(pixels.data(), pixels.size())) show(pixels);
//
// Everything here is inline over causeway.h, whose comments say what blocks and which threads may call.
//
// In a program that is built without exceptions (or with CAUSEWAY_NO_EXCEPTIONS defined) nothing is thrown: what failed is noted in
// causeway::failed() of the thread, objects that could not be made hold nothing (`if (session)`), and calls on them do nothing but fail.
#ifndef CAUSEWAY_HPP
#define CAUSEWAY_HPP

#include "causeway.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if !defined(CAUSEWAY_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define CAUSEWAY_NO_EXCEPTIONS
#endif
#ifndef CAUSEWAY_NO_EXCEPTIONS
#include <exception>
#endif

namespace causeway {

#ifdef CAUSEWAY_NO_EXCEPTIONS

// Another name for linkers, so that a program may have files of both kinds.
inline namespace without_exceptions {

/// The first status below 0 since it was asked for last, CW_OK if there was none; cw_last_error has the text. Of the calling thread.
inline CwStatus &noted() {
    static thread_local CwStatus status = CW_OK;
    return status;
}
inline CwStatus failed() { return std::exchange(noted(), CW_OK); }

/// Notes errors, returns every status.
inline CwStatus check(CwStatus status) {
    if (status < 0 && noted() == CW_OK) noted() = status;
    return status;
}

#else

inline namespace with_exceptions {

/// A status below 0 and its text.
class Error : public std::exception {
public:
    explicit Error(CwStatus status) : status_(status) {
        char text[512];
        cw_last_error(text, sizeof text, nullptr);
        text_ = text;
    }
    const char *what() const noexcept override { return text_.c_str(); }
    CwStatus status() const noexcept { return status_; }

private:
    CwStatus status_;
    std::string text_;
};

/// Throws errors, returns outcomes.
inline CwStatus check(CwStatus status) {
    if (status < 0) throw Error(status);
    return status;
}

#endif

/// A struct of the interface with its size set and, where there are any, its defaults.
template <class T> T make() {
    T value{};
    value.struct_size = sizeof(T);
    return value;
}
template <> inline CwDeviceOptions make<CwDeviceOptions>() {
    CwDeviceOptions value{};
    value.struct_size = sizeof value;
    check(cw_device_options_init(&value));
    return value;
}
template <> inline CwSessionOptions make<CwSessionOptions>() {
    CwSessionOptions value{};
    value.struct_size = sizeof value;
    check(cw_session_options_init(&value));
    return value;
}

/// Owns one handle. Moves, does not copy.
template <class Handle, CwStatus (*destroy)(Handle *)> class Owner {
public:
    Owner() = default;
    explicit Owner(Handle *handle) noexcept : handle_(handle) {}
    Owner(Owner &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Owner &operator=(Owner &&other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    Owner(const Owner &) = delete;
    Owner &operator=(const Owner &) = delete;
    ~Owner() { destroy(handle_); }

    /// Whether it holds anything: not after a move, nor, without exceptions, after an error.
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    /// The handle, for calls of the C interface; still owned here.
    Handle *get() const noexcept { return handle_; }

protected:
    Handle *handle_ = nullptr;
};

class Device : public Owner<CwDevice, cw_device_destroy> {
public:
    explicit Device(const CwDeviceOptions &options = make<CwDeviceOptions>()) {
        check(cw_device_create(&options, &handle_));
    }
    /// The CPU with so many threads (0: what the machine has).
    static Device cpu(std::uint32_t threads = 0) {
        auto options = make<CwDeviceOptions>();
        options.kind = CW_DEVICE_CPU;
        options.threads = threads;
        return Device(options);
    }
};

class Model : public Owner<CwModel, cw_model_destroy> {
public:
    static Model open(std::string_view path) {
        Model model;
        check(cw_model_open_path(path.data(), path.size(), &model.handle_));
        return model;
    }
    /// Copies the bytes.
    static Model copy(const void *bytes, std::size_t length) {
        Model model;
        check(cw_model_open_memory(static_cast<const std::uint8_t *>(bytes), length, CW_MEMORY_COPY, &model.handle_));
        return model;
    }
    CwModelInfo info() const {
        auto info = make<CwModelInfo>();
        check(cw_model_info(handle_, &info));
        return info;
    }
    std::vector<std::string> actions() const { return names(cw_model_action_name, info().actions); }
    std::vector<std::string> events() const { return names(cw_model_event_name, info().events); }
    /// Names of the prompts that the file, a bundle, stores.
    std::vector<std::string> prompts() const { return names(cw_model_prompt_name, info().prompts); }
    /// Whether it reads prompts, and so needs a codec of another file to make pictures.
    bool reads_prompts() const { return info().takes & CW_TAKES_PROMPT; }

private:
    template <class F> std::vector<std::string> names(F name, std::uint32_t count) const {
        std::vector<std::string> all;
        for (std::uint32_t i = 0; i < count; i++) {
            char text[256] = "";
            check(name(handle_, i, text, sizeof text, nullptr));
            all.emplace_back(text);
        }
        return all;
    }
};

class Session : public Owner<CwSession, cw_session_destroy> {
public:
    Session(const Device &device, const Model &model, const CwSessionOptions &options = make<CwSessionOptions>()) {
        check(cw_session_create(device.get(), model.get(), &options, &handle_));
    }
    /// With pictures made by the codec of another file, for a model that reads prompts.
    Session(const Device &device, const Model &model, const Model &codec, CwSessionOptions options = make<CwSessionOptions>()) {
        options.codec = codec.get();
        check(cw_session_create(device.get(), model.get(), &options, &handle_));
    }
    /// Begins to create a session: pumps, or the worker, do the work, and until `progress` says CW_STAGE_READY all else does nothing: calls return
    /// as if nothing waited.
    static Session begin(const Device &device, const Model &model, const CwSessionOptions &options = make<CwSessionOptions>()) {
        Session session;
        check(cw_session_create_begin(device.get(), model.get(), &options, &session.handle_));
        return session;
    }
    /// How far the creation is.
    CwProgress progress() const {
        auto progress = make<CwProgress>();
        check(cw_session_progress(handle_, &progress));
        return progress;
    }
    CwSessionInfo info() const {
        auto info = make<CwSessionInfo>();
        check(cw_session_info(handle_, &info));
        return info;
    }
    /// Returns the action's ticket.
    std::uint64_t action(const float *action, std::size_t count) {
        std::uint64_t ticket = 0;
        check(cw_session_set_action(handle_, action, static_cast<std::uint32_t>(count), &ticket));
        return ticket;
    }
    std::uint64_t action(std::initializer_list<float> list) { return action(list.begin(), list.size()); }
    std::uint64_t action(const std::vector<float> &list) { return action(list.data(), list.size()); }
    /// Rows of `count` numbers: one for each picture of the next chunk; the last one goes on.
    std::uint64_t actions(const float *rows, std::size_t number, std::size_t count) {
        std::uint64_t ticket = 0;
        auto size = [](std::size_t n) { return static_cast<std::uint32_t>(n); };
        check(cw_session_set_actions(handle_, rows, size(number), size(count), &ticket));
        return ticket;
    }
    /// Returns the event's ticket. `frame` 0 is the next chunk.
    std::uint64_t event(std::uint32_t event, std::uint64_t frame = 0) {
        std::uint64_t ticket = 0;
        check(cw_session_queue_event(handle_, event, frame, &ticket));
        return ticket;
    }
    /// Puts a prompt into a slot: rows of `width` numbers.
    void prompt(std::uint32_t slot, const float *values, std::uint32_t rows, std::uint32_t width) {
        check(cw_session_set_prompt(handle_, slot, values, rows, width));
    }
    void prompt(std::uint32_t slot, const std::vector<float> &values, std::uint32_t width) {
        prompt(slot, values.data(), width ? static_cast<std::uint32_t>(values.size() / width) : 0, width);
    }
    /// Puts prompt `index` that `bundle` stores into a slot.
    void load_prompt(std::uint32_t slot, const Model &bundle, std::uint32_t index) {
        check(cw_session_load_prompt(handle_, slot, bundle.get(), index));
    }
    /// Queues a change of what the stream is told and returns its ticket.
    std::uint64_t condition(const CwCondition &condition) {
        std::uint64_t ticket = 0;
        check(cw_session_queue_condition(handle_, &condition, &ticket));
        return ticket;
    }
    /// Puts the prompt of a slot in force with the next chunk.
    std::uint64_t say(std::uint32_t slot, std::uint32_t way = CW_WAY_KEEP, std::uint32_t chunks = 1) {
        auto condition = make<CwCondition>();
        condition.kind = CW_CONDITION_PROMPT;
        condition.index = slot;
        condition.way = way;
        condition.chunks = chunks;
        return this->condition(condition);
    }
    /// Puts events in force in parts: a weight for each, of sum 1.
    std::uint64_t mix(const std::vector<float> &weights, std::uint32_t chunks = 1) {
        auto condition = make<CwCondition>();
        condition.kind = CW_CONDITION_MIX;
        condition.weights = weights.data();
        condition.weight_count = static_cast<std::uint32_t>(weights.size());
        condition.chunks = chunks;
        return this->condition(condition);
    }
    /// Takes a change back that waits; false once it is in force.
    bool withdraw(std::uint64_t ticket) {
        auto status = cw_session_withdraw(handle_, ticket);
        return status == CW_ERROR_STATE ? false : check(status) == CW_OK;
    }
    /// Steps, route and window from the next chunk on; -1 leaves a value.
    void quality(std::int32_t steps, std::int32_t route = -1, std::int32_t window = -1) {
        check(cw_session_set_quality(handle_, steps, route, window));
    }
    /// Returns CW_FRAME, CW_PENDING, CW_FULL or CW_PAUSED.
    CwStatus pump(std::uint32_t budget_us) { return check(cw_session_pump(handle_, budget_us)); }
    /// Fetches the oldest frame, if one waits.
    std::optional<CwReceipt> frame(const CwImage &image) {
        auto receipt = make<CwReceipt>();
        if (check(cw_session_poll_frame(handle_, &image, &receipt)) != CW_OK) return std::nullopt;
        return receipt;
    }
    /// As RGBA8 without padding.
    std::optional<CwReceipt> frame(void *pixels, std::size_t bytes) {
        auto image = make<CwImage>();
        image.pixels = pixels;
        image.bytes = bytes;
        return frame(image);
    }
    /// Fetches the oldest latent frame [channels, height, width], if one waits, of a session with CW_OUTPUT_LATENTS.
    std::optional<CwReceipt> latents(float *values, std::size_t count) {
        auto receipt = make<CwReceipt>();
        if (check(cw_session_poll_latents(handle_, values, count, &receipt)) != CW_OK) return std::nullopt;
        return receipt;
    }
    void start_worker() { check(cw_session_start_worker(handle_)); }
    void stop_worker() { check(cw_session_stop_worker(handle_)); }
    void pause() { check(cw_session_pause(handle_)); }
    void resume() { check(cw_session_resume(handle_)); }
    void cancel() { check(cw_session_cancel(handle_)); }
    void reset(std::uint64_t seed) { check(cw_session_reset(handle_, seed)); }
    void start_image(const void *rgba, std::size_t bytes) {
        check(cw_session_set_start_image(handle_, static_cast<const std::uint8_t *>(rgba), bytes));
    }
    std::vector<std::byte> snapshot() { return written(cw_session_snapshot, info().snapshot_bytes); }
    void restore(const std::vector<std::byte> &bytes) {
        check(cw_session_restore(handle_, bytes.data(), bytes.size()));
    }
    /// A saved game: smaller than a snapshot, and for any device and later version of the library.
    std::vector<std::byte> save() { return written(cw_session_save, info().save_bytes); }
    void load(const std::vector<std::byte> &bytes) {
        check(cw_session_load(handle_, bytes.data(), bytes.size()));
    }
    CwStats stats() const {
        auto stats = make<CwStats>();
        check(cw_session_stats(handle_, &stats));
        return stats;
    }

private:
    Session() = default;
    /// Of at most so many bytes: what is needed may grow while a worker thread runs.
    template <class F> std::vector<std::byte> written(F write, std::uint64_t most) {
        std::size_t needed = 0;
        std::vector<std::byte> bytes(static_cast<std::size_t>(most));
        bytes.resize(check(write(handle_, bytes.data(), bytes.size(), &needed)) == CW_OK ? needed : 0);
        return bytes;
    }
};

/// Words to rows of a prompt: a text encoder with its tokenizer, which works in steps beside a session.
///
///     text.begin("a red fox in the snow");
///     if (text.pump(2000)) session.prompt(0, text.rows(), width), session.say(0);    // in each frame, until it is true
class Text : public Owner<CwText, cw_text_destroy> {
public:
    /// `encoder` is a file with a text encoder; neither it nor the device need outlive this. Reads the tokenizer, and no weights yet.
    Text(const Device &device, const Model &encoder, const CwTextOptions &options = make<CwTextOptions>()) {
        check(cw_text_create(device.get(), encoder.get(), &options, &handle_));
    }
    /// What it would take: bytes held, bytes read, seconds.
    static CwTextInfo query(const Device &device, const Model &encoder, const CwTextOptions &options = make<CwTextOptions>()) {
        auto info = make<CwTextInfo>();
        check(cw_text_query(device.get(), encoder.get(), &options, &info));
        return info;
    }
    /// Begins with a prompt in UTF-8; one under way is given up.
    void begin(std::string_view words) { check(cw_text_begin(handle_, words.data(), words.size())); }
    /// Works for about so many microseconds; true when the rows are there.
    bool pump(std::uint32_t budget_us) { return check(cw_text_pump(handle_, budget_us)) == CW_OK; }
    /// Layers done; CW_STAGE_READY when the rows are there.
    CwProgress progress() const {
        auto progress = make<CwProgress>();
        check(cw_text_progress(handle_, &progress));
        return progress;
    }
    /// Copies the rows, one after the other, to `values`, which has room for `capacity` numbers; returns how many rows there are.
    std::uint32_t rows(float *values, std::size_t capacity) const {
        std::uint32_t rows = 0, width = 0;
        check(cw_text_rows(handle_, values, capacity, &rows, &width));
        return rows;
    }
    /// The same in memory of their own.
    std::vector<float> rows() const {
        std::uint32_t rows = 0, width = 0;
        auto status = cw_text_rows(handle_, nullptr, 0, &rows, &width);
        if (status != CW_ERROR_BUFFER_TOO_SMALL) check(status);
        std::vector<float> values(std::size_t{rows} * width);
        if (!values.empty()) this->rows(values.data(), values.size());
        return values;
    }
};

/// Tells a session prompts while a game goes on: those that a bundle stores, and words that a player types.
///
/// Of the session's prompts it uses the first slot. What is told comes in force with the next chunk; told while an earlier one still waits for its
/// chunk, it follows that one. Of what is told before a pump the newest counts.
class Teller {
public:
    Teller() = default;
    /// For a session of `bundle`; `text` may be null where nobody types. None of them is owned. A session without `recache` needs another `way`.
    Teller(CwSession *session, const CwModel *bundle, CwText *text = nullptr, std::uint32_t way = CW_WAY_RECACHE)
        : session_(session), bundle_(bundle), text_(text), way_(way) {
        auto info = make<CwModelInfo>();
        if (check(cw_model_info(bundle, &info)) != CW_OK) return;
        stored_ = info.prompts;
        if (text) rows_.resize(std::size_t{info.prompt_rows} * info.prompt_width);
    }
    /// A prompt is on its way to the session.
    bool waits() const { return encodes_ || words_ || index_ >= 0; }
    /// Words are being encoded.
    bool encodes() const { return encodes_; }
    /// Ticket of the newest prompt that the session was told; 0 before there is one.
    std::uint64_t ticket() const { return ticket_; }
    /// Tells a prompt that the bundle stores; false where there is none of that number.
    bool tell(std::uint32_t index) {
        if (index >= stored_) return false;
        index_ = index;
        words_ = false;
        return true;
    }
    /// Tells words in UTF-8, once they are encoded.
    CwStatus say(std::string_view words) {
        auto status = check(cw_text_begin(text_, words.data(), words.size()));
        if (status >= 0) encodes_ = true, words_ = false;
        return status;
    }
    /// Gives up what is on its way.
    void forget() {
        index_ = -1;
        encodes_ = words_ = false;
    }
    /// How far the words are, from 0 to 1; 1 where there are none on their way.
    float progress() const {
        auto progress = make<CwProgress>();
        if (!encodes_ || check(cw_text_progress(text_, &progress)) < 0 || progress.total == 0) return encodes_ ? 0.0f : 1.0f;
        return static_cast<float>(progress.done) / static_cast<float>(progress.total);
    }
    /// Encodes for about so many microseconds, and gives the session what it should be told; for every frame of the game. CW_PENDING while something
    /// waits. Allocates nothing.
    CwStatus pump(std::uint32_t budget_us) {
        if (encodes_) {
            auto status = cw_text_pump(text_, budget_us);
            encodes_ = status == CW_PENDING;
            if (status != CW_OK) return check(status);
            words_ = true;
            index_ = -1;
        }
        if (!waits()) return CW_OK;
        auto status = put();
        // The one before it waits for its chunk, or the session is still being created.
        if (status == CW_ERROR_STATE || status == CW_PENDING) return CW_PENDING;
        words_ = false;
        index_ = -1;
        if (check(status) < 0) return status;
        auto change = make<CwCondition>();
        change.kind = CW_CONDITION_PROMPT;
        change.way = way_;
        return check(cw_session_queue_condition(session_, &change, &ticket_));
    }

private:
    CwStatus put() {
        if (!words_) return cw_session_load_prompt(session_, 0, bundle_, static_cast<std::uint32_t>(index_));
        std::uint32_t rows = 0, width = 0;
        auto status = cw_text_rows(text_, rows_.data(), rows_.size(), &rows, &width);
        return status < 0 ? status : cw_session_set_prompt(session_, 0, rows_.data(), rows, width);
    }

    CwSession *session_ = nullptr;
    const CwModel *bundle_ = nullptr;
    CwText *text_ = nullptr;
    std::uint32_t way_ = CW_WAY_RECACHE, stored_ = 0;
    std::vector<float> rows_;
    std::int64_t index_ = -1;
    bool encodes_ = false, words_ = false;
    std::uint64_t ticket_ = 0;
};

} // inline namespace
} // namespace causeway

#endif // CAUSEWAY_HPP

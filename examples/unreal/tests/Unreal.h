// What the plugin uses of Unreal, declared to compile it, and alive enough to run its component without the engine. These are not
// Unreal's sources; names and signatures are those of its API reference. Reflection macros are empty: the header tool was not run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using int32 = std::int32_t;
using int64 = std::int64_t;
using uint64 = std::uint64_t;

struct FMath {
    template <class T> static T Min(T a, T b) { return a < b ? a : b; }
};
using uint8 = std::uint8_t;
using uint32 = std::uint32_t;
using TCHAR = char16_t;
#define TEXT(text) u##text
#define INDEX_NONE (-1)
#define CAUSEWAY_API
#define UPROPERTY(...)
#define UFUNCTION(...)
#define UCLASS(...)
#define USTRUCT(...)
#define UENUM(...)
#define GENERATED_BODY()

class FString {
public:
    FString() = default;
    FString(const TCHAR *text) : text_(text) {}
    const TCHAR *operator*() const { return text_.c_str(); }
    bool IsEmpty() const { return text_.empty(); }
    bool operator==(const FString &other) const { return text_ == other.text_; }
    bool operator<(const FString &other) const { return text_ < other.text_; }
    FString operator+(const FString &other) const { return FString((text_ + other.text_).c_str()); }

private:
    std::u16string text_;
};

struct FTCHARToUTF8 {
    explicit FTCHARToUTF8(const TCHAR *text) {
        for (char32_t letter; (letter = *text++) != 0;) {
            if (letter >= 0xd800 && letter < 0xdc00) letter = 0x10000 + ((letter - 0xd800) << 10) + (*text++ - 0xdc00u);
            const int more = letter < 0x80 ? 0 : letter < 0x800 ? 1 : letter < 0x10000 ? 2 : 3;
            bytes.push_back(static_cast<char>(more == 0 ? letter : ((0xf80u >> more) & 0xf0u) | (letter >> (6 * more))));
            for (int at = more; at-- > 0;) bytes.push_back(static_cast<char>(0x80 | ((letter >> (6 * at)) & 0x3f)));
        }
    }
    const char *Get() const { return bytes.c_str(); }
    int32 Length() const { return static_cast<int32>(bytes.size()); }
    std::string bytes;
};
struct FUTF8ToTCHAR {
    explicit FUTF8ToTCHAR(const char *text) {
        while (*text) {
            const auto first = static_cast<unsigned char>(*text++);
            const int more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
            char32_t letter = more == 0 ? first : first & (0x3fu >> more);
            for (int at = 0; at < more; at++) letter = (letter << 6) | (static_cast<unsigned char>(*text++) & 0x3f);
            if (letter >= 0x10000) units.push_back(static_cast<char16_t>(0xd7c0 + (letter >> 10)));
            units.push_back(static_cast<char16_t>(letter >= 0x10000 ? 0xdc00 + (letter & 0x3ff) : letter));
        }
    }
    std::u16string units;
};
#define UTF8_TO_TCHAR(text) (FUTF8ToTCHAR(text).units.c_str())

template <class T> struct TNumericLimits {
    static constexpr T Max() { return std::numeric_limits<T>::max(); }
};
template <class T, class Size> class TSizedArray {
public:
    Size Num() const { return static_cast<Size>(all_.size()); }
    T *GetData() { return all_.data(); }
    const T *GetData() const { return all_.data(); }
    T &operator[](Size at) { return all_.at(static_cast<std::size_t>(at)); }
    const T &operator[](Size at) const { return all_.at(static_cast<std::size_t>(at)); }
    Size Add(const T &item) { return all_.push_back(item), Num() - 1; }
    void Empty() { all_.clear(); }
    void SetNum(Size count) { all_.resize(static_cast<std::size_t>(count)); }
    void SetNumZeroed(Size count) { SetNum(count); }
    void SetNumUninitialized(Size count) { SetNum(count); }
    Size IndexOfByKey(const T &key) const {
        auto found = std::find(all_.begin(), all_.end(), key);
        return found == all_.end() ? INDEX_NONE : static_cast<Size>(found - all_.begin());
    }

private:
    std::vector<T> all_;
};
template <class T> using TArray = TSizedArray<T, int32>;
template <class T> using TArray64 = TSizedArray<T, int64>;
template <class T> T &&MoveTemp(T &value) { return std::move(value); }

template <class K, class V> struct TPair {
    K Key;
    V Value;
};
template <class K, class V> class TMap {
public:
    V *Find(const K &key) {
        for (auto &pair : all_)
            if (pair.Key == key) return &pair.Value;
        return nullptr;
    }
    V &Add(const K &key, const V &value) { return all_.push_back({key, value}), all_.back().Value; }
    void Empty() { all_.clear(); }
    auto begin() const { return all_.begin(); }
    auto end() const { return all_.end(); }

private:
    std::vector<TPair<K, V>> all_;
};
template <class T> using TObjectPtr = T *;
template <class T> using TFunction = std::function<T>;

namespace ELogVerbosity {
enum Type { Error, Warning, Log, All };
}
struct FLogCategory {};
#define DECLARE_LOG_CATEGORY_EXTERN(name, usual, most) extern struct FLogCategory name
#define DEFINE_LOG_CATEGORY(name) FLogCategory name
inline std::string Utf8(const TCHAR *text) { return FTCHARToUTF8(text).bytes; }
inline void Log(const TCHAR *format) { std::fprintf(stderr, "%s\n", Utf8(format).c_str()); }
template <class... Rest> void Log(const TCHAR *format, const TCHAR *first, Rest... rest) {
    std::fprintf(stderr, "%s: %s\n", Utf8(format).c_str(), Utf8(first).c_str());
    if constexpr (sizeof...(rest) > 0) Log(format, rest...);
}
#define UE_LOG(category, verbosity, ...) ((void)category, (void)ELogVerbosity::verbosity, Log(__VA_ARGS__))

class FArchive {
public:
    FArchive(TArray<uint8> &bytes, bool loading) : bytes_(bytes), loading_(loading) {}
    bool IsSaveGame() const { return true; }
    bool IsLoading() const { return loading_; }
    bool IsSaving() const { return !loading_; }
    FArchive &operator<<(TArray<uint8> &array) {
        (loading_ ? array : bytes_) = loading_ ? bytes_ : array;
        return *this;
    }

private:
    TArray<uint8> &bytes_;
    bool loading_;
};

/// The calling thread is in the engine's code.
struct EngineWork {
    static inline thread_local int depth = 0;
    EngineWork() { depth++; }
    ~EngineWork() { depth--; }
};

class UObject {
public:
    using Super = UObject;
    virtual ~UObject() = default;
    virtual void Serialize(FArchive &) {}
    FString GetName() const { return TEXT("Object"); }
};

struct FSubsystemCollectionBase {};
class UGameInstanceSubsystem : public UObject {
public:
    using Super = UGameInstanceSubsystem;
    virtual void Initialize(FSubsystemCollectionBase &) {}
    virtual void Deinitialize() {}
};

class UGameInstance : public UObject {
public:
    template <class T> T *GetSubsystem() const { return dynamic_cast<T *>(subsystem); }
    UGameInstanceSubsystem *subsystem = nullptr;
};

class UWorld : public UObject {
public:
    UGameInstance *GetGameInstance() const { return game; }
    UGameInstance *game = nullptr;
};

namespace EEndPlayReason {
enum Type { Destroyed, Quit };
}
enum ELevelTick { LEVELTICK_All };
struct FActorComponentTickFunction {
    bool bCanEverTick = false;
};
class UActorComponent : public UObject {
public:
    using Super = UActorComponent;
    virtual void BeginPlay() {}
    virtual void EndPlay(const EEndPlayReason::Type) {}
    virtual void TickComponent(float, ELevelTick, FActorComponentTickFunction *) {}
    UWorld *GetWorld() const { return world; }
    FActorComponentTickFunction PrimaryComponentTick;
    UWorld *world = nullptr;
};

enum EPixelFormat { PF_B8G8R8A8 = 2 };
struct FUpdateTextureRegion2D {
    FUpdateTextureRegion2D(uint32 x, uint32 y, int32 fromX, int32 fromY, uint32 width, uint32 height)
        : DestX(x), DestY(y), SrcX(fromX), SrcY(fromY), Width(width), Height(height) {}
    uint32 DestX, DestY;
    int32 SrcX, SrcY;
    uint32 Width, Height;
};
class UTexture2D : public UObject {
public:
    static UTexture2D *CreateTransient(int32 width, int32 height, EPixelFormat) {
        auto *made = new UTexture2D;
        made->shown.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 4);
        return made;
    }
    void UpdateResource() { resource = true; }
    const void *GetResource() const { return resource ? this : nullptr; }
    void UpdateTextureRegions(int32, uint32 count, const FUpdateTextureRegion2D *regions, uint32 pitch, uint32 bytesPerPixel, uint8 *source,
                              TFunction<void(uint8 *, const FUpdateTextureRegion2D *)> cleanup) {
        // The render thread comes to it later. What the engine allocates is not the plugin's.
        const EngineWork engine;
        render.emplace_back([=, this] {
            for (uint32 i = 0; i < count; i++)
                for (uint32 y = 0; y < regions[i].Height; y++)
                    std::memcpy(&shown[y * pitch], source + y * pitch, regions[i].Width * bytesPerPixel);
            cleanup(source, regions);
        });
    }
    void Render() {
        for (auto &command : std::exchange(render, {})) command();
    }
    bool SRGB = false, resource = false;
    std::vector<std::function<void()>> render;
    std::vector<uint8> shown;
};

#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(name, A, a)                                                                             \
    struct name {                                                                                                                          \
        void Broadcast(A a) {                                                                                                              \
            if (listener) listener(a);                                                                                                     \
        }                                                                                                                                  \
        std::function<void(A)> listener;                                                                                                   \
    }
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_TwoParams(name, A, a, B, b)                                                                      \
    struct name {                                                                                                                          \
        void Broadcast(A a, B b) {                                                                                                         \
            if (listener) listener(a, b);                                                                                                  \
        }                                                                                                                                  \
        std::function<void(A, B)> listener;                                                                                                \
    }

struct FPaths {
    static FString Combine(const FString &a, const FString &b) { return a + TEXT("/") + b; }
    static FString ProjectContentDir() { return TEXT("Content"); }
    static FString ConvertRelativePathToFull(const FString &path) { return path; }
    static bool IsRelative(const FString &path) { return **path != u'/'; }
};

struct FPlatformProcess {
    static void *GetDllHandle(const TCHAR *path) { return dlopen(Utf8(path).c_str(), RTLD_NOW); }
    static void FreeDllHandle(void *library) { dlclose(library); }
};

class IPlugin {
public:
    FString GetBaseDir() const { return base; }
    FString base;
};
class IPluginManager {
public:
    static IPluginManager &Get() {
        static IPluginManager manager;
        return manager;
    }
    std::shared_ptr<IPlugin> FindPlugin(const FString &) { return plugin; }
    std::shared_ptr<IPlugin> plugin = std::make_shared<IPlugin>();
};

class IModuleInterface {
public:
    virtual ~IModuleInterface() = default;
    virtual void StartupModule() {}
    virtual void ShutdownModule() {}
};
struct FModuleManager {
    template <class T> static T &GetModuleChecked(const FString &) { return dynamic_cast<T &>(Module()); }
    static IModuleInterface &Module();
};
#define IMPLEMENT_MODULE(type, name)                                                                                                       \
    IModuleInterface &FModuleManager::Module() {                                                                                           \
        static type module;                                                                                                                \
        return module;                                                                                                                     \
    }

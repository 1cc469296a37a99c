// Godot's values, as far as this extension needs them, directly over gdextension_interface.h.
//
// Everything goes through Variant and calls by name: there is no generated code, so one source builds against every Godot since 4.4.
// Speed does not matter here; the one path that is used every frame copies a picture through `bytes()`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "gdextension_interface.h"

namespace godot {

// The engine's functions, found by name when the library is loaded.
struct Engine {
    GDExtensionClassLibraryPtr library;
#define CAUSEWAY_ENGINE_FUNCTIONS(X)                                                        \
    X(variant_new_nil, GDExtensionInterfaceVariantNewNil)                                   \
    X(variant_new_copy, GDExtensionInterfaceVariantNewCopy)                                 \
    X(variant_destroy, GDExtensionInterfaceVariantDestroy)                                  \
    X(variant_call, GDExtensionInterfaceVariantCall)                                        \
    X(variant_construct, GDExtensionInterfaceVariantConstruct)                              \
    X(variant_get_type, GDExtensionInterfaceVariantGetType)                                 \
    X(get_variant_from_type_constructor, GDExtensionInterfaceGetVariantFromTypeConstructor) \
    X(get_variant_to_type_constructor, GDExtensionInterfaceGetVariantToTypeConstructor)     \
    X(variant_get_ptr_internal_getter, GDExtensionInterfaceGetVariantGetInternalPtrFunc)    \
    X(variant_get_ptr_destructor, GDExtensionInterfaceVariantGetPtrDestructor)              \
    X(string_new_with_utf8_chars_and_len, GDExtensionInterfaceStringNewWithUtf8CharsAndLen) \
    X(string_to_utf8_chars, GDExtensionInterfaceStringToUtf8Chars)                          \
    X(string_name_new_with_utf8_chars, GDExtensionInterfaceStringNameNewWithUtf8Chars)      \
    X(packed_byte_array_operator_index, GDExtensionInterfacePackedByteArrayOperatorIndex)   \
    X(packed_float32_array_operator_index, GDExtensionInterfacePackedFloat32ArrayOperatorIndex) \
    X(ref_set_object, GDExtensionInterfaceRefSetObject)                                     \
    X(object_set_instance, GDExtensionInterfaceObjectSetInstance)                           \
    X(global_get_singleton, GDExtensionInterfaceGlobalGetSingleton)                         \
    X(print_error_with_message, GDExtensionInterfacePrintErrorWithMessage)                  \
    X(classdb_construct_object2, GDExtensionInterfaceClassdbConstructObject2)               \
    X(classdb_register_extension_class4, GDExtensionInterfaceClassdbRegisterExtensionClass4) \
    X(classdb_unregister_extension_class, GDExtensionInterfaceClassdbUnregisterExtensionClass) \
    X(classdb_register_extension_class_method, GDExtensionInterfaceClassdbRegisterExtensionClassMethod) \
    X(classdb_register_extension_class_property, GDExtensionInterfaceClassdbRegisterExtensionClassProperty) \
    X(classdb_register_extension_class_signal, GDExtensionInterfaceClassdbRegisterExtensionClassSignal)
#define X(name, type) type name;
    CAUSEWAY_ENGINE_FUNCTIONS(X)
#undef X

    // False if the engine is older than 4.4.
    bool find(GDExtensionInterfaceGetProcAddress get, GDExtensionClassLibraryPtr ours);
};

extern Engine engine;

// Object::NOTIFICATION_POSTINITIALIZE: who constructs an object through this interface sends it.
constexpr int64_t POSTINITIALIZE = 0;

// An interned name. Made from UTF-8, of which the engine keeps a copy; of Latin-1 it keeps the pointer, and reads it when this library may be
// gone.
class Name {
public:
    Name(const char *utf8) { engine.string_name_new_with_utf8_chars(this, utf8); }
    ~Name() { engine.variant_get_ptr_destructor(GDEXTENSION_VARIANT_TYPE_STRING_NAME)(this); }
    Name(const Name &) = delete;
    Name &operator=(const Name &) = delete;

private:
    void *opaque;
};

// A String.
class Text {
public:
    Text(std::string_view utf8) {
        engine.string_new_with_utf8_chars_and_len(this, utf8.data(), static_cast<GDExtensionInt>(utf8.size()));
    }
    ~Text() { engine.variant_get_ptr_destructor(GDEXTENSION_VARIANT_TYPE_STRING)(this); }
    Text(const Text &) = delete;
    Text &operator=(const Text &) = delete;

private:
    void *opaque;
};

// Any value.
class Variant {
public:
    Variant() { engine.variant_new_nil(this); }
    Variant(const Variant &other) { engine.variant_new_copy(this, &other); }
    Variant(bool value) { from(GDEXTENSION_VARIANT_TYPE_BOOL, &value); }
    Variant(int64_t value) { from(GDEXTENSION_VARIANT_TYPE_INT, &value); }
    Variant(double value) { from(GDEXTENSION_VARIANT_TYPE_FLOAT, &value); }
    Variant(std::string_view value);
    Variant(const char *value) : Variant(std::string_view(value)) {}
    // An object; a reference to it is held if it is counted.
    Variant(GDExtensionObjectPtr object) { from(GDEXTENSION_VARIANT_TYPE_OBJECT, &object); }
    ~Variant() { engine.variant_destroy(this); }
    Variant &operator=(const Variant &other);

    // An empty value of this type.
    static Variant empty(GDExtensionVariantType type);
    // A new object of an engine class.
    static Variant make(const char *class_name);
    // A value of this type as a typed call passes it.
    static Variant typed(GDExtensionVariantType type, GDExtensionConstTypePtr value);
    // Writes the value where a typed call wants its result of this type.
    void store(GDExtensionVariantType type, GDExtensionTypePtr target) const;

    GDExtensionVariantType type() const { return engine.variant_get_type(this); }
    bool is_nil() const { return type() == GDEXTENSION_VARIANT_TYPE_NIL; }
    bool boolean() const { return to<GDExtensionBool>(GDEXTENSION_VARIANT_TYPE_BOOL) != 0; }
    int64_t integer() const { return to<int64_t>(GDEXTENSION_VARIANT_TYPE_INT); }
    double number() const { return to<double>(GDEXTENSION_VARIANT_TYPE_FLOAT); }
    GDExtensionObjectPtr object() const { return to<GDExtensionObjectPtr>(GDEXTENSION_VARIANT_TYPE_OBJECT); }
    std::string text() const;

    // Calls a method by name; nil if there is no such method.
    Variant call(const char *method, std::initializer_list<Variant> arguments = {});

    // Elements of a packed array.
    int64_t size() { return call("size").integer(); }
    // First byte of a PackedByteArray that is not empty.
    uint8_t *bytes() { return engine.packed_byte_array_operator_index(inside(), 0); }
    // First element of a PackedFloat32Array that is not empty.
    float *floats() { return engine.packed_float32_array_operator_index(inside(), 0); }

private:
    void from(GDExtensionVariantType type, void *value) { engine.get_variant_from_type_constructor(type)(this, value); }

    template <typename T> T to(GDExtensionVariantType type) const {
        T value{};
        engine.get_variant_to_type_constructor(type)(&value, const_cast<Variant *>(this));
        return value;
    }

    void *inside() { return engine.variant_get_ptr_internal_getter(type())(this); }

    // 24 bytes, or 40 in engines built with double precision.
    alignas(8) uint8_t opaque[40];
};

}  // namespace godot

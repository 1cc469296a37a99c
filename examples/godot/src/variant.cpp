#include "variant.hpp"

namespace godot {

Engine engine;

bool Engine::find(GDExtensionInterfaceGetProcAddress get, GDExtensionClassLibraryPtr ours) {
    library = ours;
    bool complete = true;
#define X(name, type)                            \
    name = reinterpret_cast<type>(get(#name));   \
    complete = complete && name != nullptr;
    CAUSEWAY_ENGINE_FUNCTIONS(X)
#undef X
    return complete;
}

Variant::Variant(std::string_view value) {
    Text text(value);
    from(GDEXTENSION_VARIANT_TYPE_STRING, &text);
}

Variant &Variant::operator=(const Variant &other) {
    if (this != &other) {
        engine.variant_destroy(this);
        engine.variant_new_copy(this, &other);
    }
    return *this;
}

Variant Variant::empty(GDExtensionVariantType type) {
    Variant value;
    GDExtensionCallError error;
    engine.variant_construct(type, &value, nullptr, 0, &error);
    return value;
}

Variant Variant::make(const char *class_name) {
    Name name(class_name);
    Variant object(engine.classdb_construct_object2(&name));
    object.call("notification", {POSTINITIALIZE});
    return object;
}

Variant Variant::typed(GDExtensionVariantType type, GDExtensionConstTypePtr value) {
    Variant result;
    result.from(type, const_cast<GDExtensionTypePtr>(value));
    return result;
}

void Variant::store(GDExtensionVariantType type, GDExtensionTypePtr target) const {
    if (type == GDEXTENSION_VARIANT_TYPE_OBJECT) {
        engine.ref_set_object(target, is_nil() ? nullptr : object());
    } else if (type != GDEXTENSION_VARIANT_TYPE_NIL) {
        engine.get_variant_to_type_constructor(type)(target, const_cast<Variant *>(this));
    }
}

std::string Variant::text() const {
    void *string = nullptr;
    engine.get_variant_to_type_constructor(GDEXTENSION_VARIANT_TYPE_STRING)(&string, const_cast<Variant *>(this));
    std::string utf8(static_cast<size_t>(engine.string_to_utf8_chars(&string, nullptr, 0)), '\0');
    engine.string_to_utf8_chars(&string, utf8.data(), static_cast<GDExtensionInt>(utf8.size()));
    engine.variant_get_ptr_destructor(GDEXTENSION_VARIANT_TYPE_STRING)(&string);
    return utf8;
}

Variant Variant::call(const char *method, std::initializer_list<Variant> arguments) {
    constexpr size_t MOST = 8;
    GDExtensionConstVariantPtr pointers[MOST] = {};
    size_t count = 0;
    for (const Variant &argument : arguments) {
        pointers[count++] = &argument;
    }
    Name name(method);
    Variant result;
    GDExtensionCallError error;
    engine.variant_call(this, &name, pointers, static_cast<GDExtensionInt>(count), &result, &error);
    return result;
}

}  // namespace godot

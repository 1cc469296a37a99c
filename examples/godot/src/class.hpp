// Registers a C++ class as an engine class: methods, properties and signals whose types are listed at run time.
#pragma once

#include <initializer_list>

#include "variant.hpp"

namespace godot {

// One method argument, or a method's result.
struct Slot {
    const char *name;
    GDExtensionVariantType type;
};

// A method of T: arguments come as an array of `Method::arguments.size()` values.
template <typename T> struct Method {
    const char *name;
    GDExtensionVariantType result;
    Variant (T::*body)(const Variant *arguments);
    std::initializer_list<Slot> arguments = {};
    // Values of the last arguments where a caller leaves them out.
    std::initializer_list<Variant> defaults = {};
};

// Most arguments of a method.
constexpr size_t MOST_ARGUMENTS = 4;

// What the engine hands back with every call: enough to make the call.
template <typename T> struct Bound {
    Variant (T::*body)(const Variant *);
    GDExtensionVariantType result;
    size_t count;
    GDExtensionVariantType types[MOST_ARGUMENTS];
    size_t default_count;
    Variant *defaults;
};

// Type, hint and usage of one value, alive as long as the object.
class Info {
public:
    Info(const char *name, GDExtensionVariantType type, uint32_t hint = 0, const char *hint_text = "",
         const char *class_name = "")
        : name_(name), class_(class_name), hint_(hint_text) {
        constexpr uint32_t USAGE_DEFAULT = 6;  // stored and shown in the editor
        raw = {type, &name_, &class_, hint, &hint_, USAGE_DEFAULT};
    }
    GDExtensionPropertyInfo raw;

private:
    Name name_;
    Name class_;
    Text hint_;
};

// Registration of T, which has `static constexpr const char *NAME, *PARENT`, a constructor from its engine object, and
// `void notification(int32_t)`.
template <typename T> class Class {
public:
    static void add() {
        GDExtensionClassCreationInfo4 info{};
        info.is_exposed = true;
        info.create_instance_func = [](void *, GDExtensionBool notify) { return create(notify != 0); };
        info.free_instance_func = [](void *, GDExtensionClassInstancePtr self) { delete static_cast<T *>(self); };
        info.recreate_instance_func = [](void *, GDExtensionObjectPtr object) -> GDExtensionClassInstancePtr {
            return new T(object);
        };
        info.notification_func = [](GDExtensionClassInstancePtr self, int32_t what, GDExtensionBool) {
            static_cast<T *>(self)->notification(what);
        };
        Name name(T::NAME), parent(T::PARENT);
        engine.classdb_register_extension_class4(engine.library, &name, &parent, &info);
    }

    static void remove() {
        Name name(T::NAME);
        engine.classdb_unregister_extension_class(engine.library, &name);
    }

    // The description of a method lives as long as the process: the engine keeps a pointer to it.
    static void method(const Method<T> &method) {
        auto *bound = new Bound<T>{method.body, method.result, 0, {}, method.defaults.size(), nullptr};
        Info *infos[MOST_ARGUMENTS] = {};
        GDExtensionPropertyInfo raw[MOST_ARGUMENTS] = {};
        GDExtensionClassMethodArgumentMetadata metadata[MOST_ARGUMENTS] = {};
        for (const Slot &slot : method.arguments) {
            infos[bound->count] = new Info(slot.name, slot.type);
            raw[bound->count] = infos[bound->count]->raw;
            bound->types[bound->count++] = slot.type;
        }
        bound->defaults = new Variant[MOST_ARGUMENTS];
        GDExtensionVariantPtr defaults[MOST_ARGUMENTS] = {};
        size_t filled = 0;
        for (const Variant &value : method.defaults) {
            bound->defaults[filled] = value;
            defaults[filled] = &bound->defaults[filled];
            filled++;
        }
        Name name(method.name);
        Info result("", method.result);
        GDExtensionClassMethodInfo info{};
        info.name = &name;
        info.method_userdata = bound;
        info.call_func = call;
        info.ptrcall_func = typed_call;
        info.method_flags = GDEXTENSION_METHOD_FLAGS_DEFAULT;
        info.has_return_value = method.result != GDEXTENSION_VARIANT_TYPE_NIL;
        info.return_value_info = &result.raw;
        info.argument_count = static_cast<uint32_t>(bound->count);
        info.arguments_info = raw;
        info.arguments_metadata = metadata;
        info.default_argument_count = static_cast<uint32_t>(filled);
        info.default_arguments = defaults;
        Name owner(T::NAME);
        engine.classdb_register_extension_class_method(engine.library, &owner, &info);
        for (Info *argument : infos) {
            delete argument;
        }
    }

    // A property over the methods `set_NAME` and `get_NAME`.
    static void property(const Info &info, const char *setter, const char *getter) {
        Name owner(T::NAME), set(setter), get(getter);
        engine.classdb_register_extension_class_property(engine.library, &owner, &info.raw, &set, &get);
    }

    static void signal(const char *signal_name) {
        Name owner(T::NAME), name(signal_name);
        engine.classdb_register_extension_class_signal(engine.library, &owner, &name, nullptr, 0);
    }

    static void signal(const char *signal_name, const char *argument, GDExtensionVariantType type) {
        Name owner(T::NAME), name(signal_name);
        Info info(argument, type);
        engine.classdb_register_extension_class_signal(engine.library, &owner, &name, &info.raw, 1);
    }

private:
    static GDExtensionObjectPtr create(bool notify) {
        Name parent(T::PARENT), name(T::NAME);
        GDExtensionObjectPtr object = engine.classdb_construct_object2(&parent);
        engine.object_set_instance(object, &name, new T(object));
        if (notify) {
            Variant(object).call("notification", {POSTINITIALIZE});
        }
        return object;
    }

    static void call(void *data, GDExtensionClassInstancePtr self, const GDExtensionConstVariantPtr *arguments,
                     GDExtensionInt count, GDExtensionVariantPtr result, GDExtensionCallError *error) {
        const auto *bound = static_cast<const Bound<T> *>(data);
        const auto given = static_cast<size_t>(count);
        if (given > bound->count || given + bound->default_count < bound->count) {
            const bool many = given > bound->count;
            error->error = many ? GDEXTENSION_CALL_ERROR_TOO_MANY_ARGUMENTS : GDEXTENSION_CALL_ERROR_TOO_FEW_ARGUMENTS;
            error->expected = static_cast<int32_t>(bound->count);
            return;
        }
        Variant values[MOST_ARGUMENTS];
        for (size_t i = 0; i < bound->count; i++) {
            const size_t first_default = bound->count - bound->default_count;
            values[i] = i < given ? *static_cast<const Variant *>(arguments[i]) : bound->defaults[i - first_default];
        }
        *static_cast<Variant *>(result) = (static_cast<T *>(self)->*bound->body)(values);
        error->error = GDEXTENSION_CALL_OK;
    }

    static void typed_call(void *data, GDExtensionClassInstancePtr self, const GDExtensionConstTypePtr *arguments,
                           GDExtensionTypePtr result) {
        const auto *bound = static_cast<const Bound<T> *>(data);
        Variant values[MOST_ARGUMENTS];
        for (size_t i = 0; i < bound->count; i++) {
            values[i] = Variant::typed(bound->types[i], arguments[i]);
        }
        (static_cast<T *>(self)->*bound->body)(values).store(bound->result, result);
    }
};

}  // namespace godot

"""Neural worlds: actions and events in, frames out, on this machine's GPU or CPU.

    import causeway

    world = causeway.World()                      # the demo world, which comes with the package
    for n in range(100):
        frame = world.step([1, 0, 0, 0, 0])       # forward; a numpy array, height x width x 3, uint8

A `Recorder` writes what a game shows in the format that `causeway-distill train` learns from.
"""

import ctypes
import os
import pathlib
import platform
import weakref

import numpy

from . import _native as c
from .recorder import Recorder

__all__ = ["CausewayError", "DEMO", "Recorder", "World", "version"]

HERE = pathlib.Path(__file__).resolve().parent

DEMO = HERE / "keep.safetensors"
"""The demo world's file."""


class CausewayError(Exception):
    """What the library answered; `status` is the number that include/causeway.h names."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def _load():
    name = {"Windows": "causeway.dll", "Darwin": "libcauseway.dylib"}.get(platform.system(), "libcauseway.so")
    path = os.environ.get("CAUSEWAY_LIBRARY") or HERE / name
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(f"this package has no library for {platform.system()} {platform.machine()}: {error}") from None
    for name, (gives, takes) in c.FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = gives, takes
    return library


_library = _load()


def _call(name, *arguments):
    status = getattr(_library, name)(*arguments)
    if status < 0:
        text, length = ctypes.create_string_buffer(1024), ctypes.c_size_t()
        _library.cw_last_error(text, len(text), ctypes.byref(length))
        raise CausewayError(status, text.value.decode())
    return status


def _sized(kind, **fields):
    return kind(struct_size=ctypes.sizeof(kind), **fields)


def version():
    """The library's version."""
    return _library.cw_version().decode()


class World:
    """A stream of frames of one model.

    `model` is a path, or None for the demo world. `device` is "auto", "cpu" or "gpu"; with `strict` the CPU makes the same bits on every machine,
    slowly. `steps` are denoise steps a frame, -1 the model's own. Names of actions and events are in `actions` and `events`.
    """

    def __init__(self, model=None, *, device="auto", seed=0, steps=-1, threads=0, strict=False):
        kinds = {"auto": c.CW_DEVICE_AUTO, "cpu": c.CW_DEVICE_CPU, "gpu": c.CW_DEVICE_GPU}
        if device not in kinds:
            raise ValueError(f"device is {device!r}; there are {', '.join(kinds)}")
        on = _sized(c.CwDeviceOptions)
        _call("cw_device_options_init", ctypes.byref(on))
        on.kind, on.threads, on.strict = kinds[device], threads, strict
        owner, opened, session = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        _call("cw_device_create", ctypes.byref(on), ctypes.byref(owner))
        weakref.finalize(self, _library.cw_device_destroy, owner)
        path = os.fsencode(DEMO if model is None else model)
        _call("cw_model_open_path", path, len(path), ctypes.byref(opened))
        try:
            info = _sized(c.CwModelInfo)
            _call("cw_model_info", opened, ctypes.byref(info))
            self.actions = self._names("cw_model_action_name", opened, info.actions)
            self.events = self._names("cw_model_event_name", opened, info.events)
            self.fps = info.fps
            options = _sized(c.CwSessionOptions)
            _call("cw_session_options_init", ctypes.byref(options))
            options.seed, options.steps = seed, steps
            _call("cw_session_create", owner, opened, ctypes.byref(options), ctypes.byref(session))
        finally:
            _library.cw_model_destroy(opened)
        self._session = session
        # Before the device, which it holds.
        weakref.finalize(self, _library.cw_session_destroy, session)
        told = _sized(c.CwSessionInfo)
        _call("cw_session_info", session, ctypes.byref(told))
        self.width, self.height = told.width, told.height
        self.device = {c.CW_DEVICE_CPU: "cpu", c.CW_DEVICE_GPU: "gpu"}.get(told.device, "cpu")
        self.receipt = _sized(c.CwReceipt)

    @staticmethod
    def _names(function, model, count):
        text, length = ctypes.create_string_buffer(256), ctypes.c_size_t()
        names = []
        for index in range(count):
            _call(function, model, index, text, len(text), ctypes.byref(length))
            names.append(text.raw[: length.value].rstrip(b"\0").decode())
        return names

    def act(self, action):
        """Says what is pressed from now on: a number for each of `actions`."""
        values = numpy.ascontiguousarray(action, numpy.float32)
        _call("cw_session_set_action", self._session, values.ctypes.data, values.size, None)

    def event(self, event):
        """Puts an event in force with the next frames, by its name or number."""
        index = self.events.index(event) if isinstance(event, str) else event
        _call("cw_session_queue_event", self._session, index, 0, None)

    def pump(self, microseconds):
        """Computes for about so long, as inside a game's frame; True when a frame is ready."""
        return _call("cw_session_pump", self._session, microseconds) in (c.CW_FRAME, c.CW_FULL)

    def poll(self):
        """The frame that is ready; height x width x 3, uint8, sRGB. `receipt` says what it was made with."""
        frame = numpy.empty((self.height, self.width, 3), numpy.uint8)
        image = _sized(c.CwImage, format=c.CW_FORMAT_RGB8, pixels=frame.ctypes.data, bytes=frame.nbytes)
        _call("cw_session_poll_frame", self._session, ctypes.byref(image), ctypes.byref(self.receipt))
        return frame

    def step(self, action=None, event=None):
        """The next frame."""
        if action is not None:
            self.act(action)
        if event is not None:
            self.event(event)
        while not self.pump(1_000_000):
            pass
        return self.poll()

    def reset(self, seed=0):
        """Begins anew."""
        _call("cw_session_reset", self._session, seed)

    def _bytes(self, function):
        needed = ctypes.c_size_t()
        getattr(_library, function)(self._session, None, 0, ctypes.byref(needed))
        buffer = ctypes.create_string_buffer(needed.value)
        _call(function, self._session, buffer, len(buffer), ctypes.byref(needed))
        return buffer.raw[: needed.value]

    def snapshot(self):
        """All there is to the stream, for `restore` in this build: bit for bit the same future."""
        return self._bytes("cw_session_snapshot")

    def restore(self, snapshot):
        """Goes back to a snapshot."""
        _call("cw_session_restore", self._session, snapshot, len(snapshot))

    def save(self):
        """A saved game, for `load` on any device, in this version or a later one."""
        return self._bytes("cw_session_save")

    def load(self, saved):
        """Goes on from a saved game."""
        _call("cw_session_load", self._session, saved, len(saved))

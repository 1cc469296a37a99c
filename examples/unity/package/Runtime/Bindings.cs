using System;
using System.Collections.Generic;
using UnityEngine;
using UnityEngine.Events;

namespace Causeway.Unity
{
    /// <summary>Keys that hold an action of the model.</summary>
    [Serializable]
    public sealed class KeyBinding
    {
        /// <summary>Name of the action in the model.</summary>
        public string action;
        /// <summary>Any of them holds it.</summary>
        public KeyCode[] keys;
        /// <summary>A key held it when keys were read last.</summary>
        [NonSerialized] internal bool held;

        /// <summary>Arrow keys, WASD and space for the actions that worlds usually have.</summary>
        internal static List<KeyBinding> Usual()
        {
            return new List<KeyBinding>
            {
                new KeyBinding { action = "forward", keys = new[] { KeyCode.UpArrow, KeyCode.W } },
                new KeyBinding { action = "back", keys = new[] { KeyCode.DownArrow, KeyCode.S } },
                new KeyBinding { action = "left", keys = new[] { KeyCode.LeftArrow, KeyCode.A } },
                new KeyBinding { action = "right", keys = new[] { KeyCode.RightArrow, KeyCode.D } },
                new KeyBinding { action = "attack", keys = new[] { KeyCode.Space } },
            };
        }
    }

    /// <summary>A key that queues an event of the model, or tells it a prompt that it stores.</summary>
    [Serializable]
    public sealed class EventBinding
    {
        /// <summary>Name of the event or the prompt in the model.</summary>
        public string name;
        /// <summary>The key.</summary>
        public KeyCode key;
    }

    /// <summary>Called with the texture after every new frame.</summary>
    [Serializable]
    public sealed class FrameEvent : UnityEvent<Texture> { }

    /// <summary>Called with the ticket of a prompt that a world was told.</summary>
    [Serializable]
    public sealed class PromptEvent : UnityEvent<long> { }
}

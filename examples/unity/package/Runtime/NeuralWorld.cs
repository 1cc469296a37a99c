using System;
using System.Collections.Generic;
using System.IO;
using UnityEngine;

namespace Causeway.Unity
{
    /// <summary>A neural world on a texture: keys and events go in, frames come out.</summary>
    /// <remarks>
    /// Everything native is made in OnEnable and given back in OnDisable, which Unity also calls around a reload of its scripts and when
    /// play mode stops. What the world was goes through a serialized snapshot, so that it goes on afterwards.
    /// </remarks>
    [AddComponentMenu("Causeway/Neural World")]
    [DisallowMultipleComponent]
    public sealed class NeuralWorld : MonoBehaviour
    {
        [SerializeField, Tooltip("Path below StreamingAssets, or an absolute one.")]
        string modelFile = "rooms.safetensors";
        [SerializeField, Tooltip("The model as a .bytes asset, where files cannot be mapped. Goes before the file.")]
        TextAsset modelAsset = null;
        [SerializeField] DeviceKind device = DeviceKind.Auto;
        [SerializeField, Min(0), Tooltip("CPU threads; 0 takes what the machine has.")]
        int threads = 0;
        [SerializeField] uint seed = 0;
        [SerializeField, Tooltip("The library pumps on a thread of its own; otherwise Update does, within the budget.")]
        bool ownThread = false;
        [SerializeField, Range(0.1f, 16), Tooltip("Milliseconds of each frame of the game.")]
        float budget = 2;
        [SerializeField] UploadKind upload = UploadKind.MainThread;
        [SerializeField] List<KeyBinding> keys = KeyBinding.Usual();
        [SerializeField] List<EventBinding> events = new List<EventBinding>();
        [SerializeField] FrameEvent onFrame = new FrameEvent();
        [SerializeField, HideInInspector] byte[] kept = null;

        static readonly int MainTexture = Shader.PropertyToID("_MainTex"), BaseMap = Shader.PropertyToID("_BaseMap");

        Device opened;
        Model model;
        Session session;
        FrameTexture frame;
        float[] action;
        bool paused;

        /// <summary>The frames; null while the component is disabled. Rows from the bottom, sRGB.</summary>
        public Texture2D Texture { get { return frame == null ? null : frame.Texture; } }

        /// <summary>Receipt of the newest frame on the texture.</summary>
        public Receipt LastReceipt { get; private set; }

        /// <summary>Frames shown so far.</summary>
        public long FramesShown { get; private set; }

        /// <summary>The session underneath, for what this component does not offer; null while it is disabled.</summary>
        public Session Session { get { return session; } }

        /// <summary>The model; null while the component is disabled.</summary>
        public Model Model { get { return model; } }

        /// <summary>While it is set nothing is generated.</summary>
        public bool Paused
        {
            get { return paused; }
            set
            {
                paused = value;
                if (session == null) return;
                if (paused) session.Pause();
                else session.Resume();
            }
        }

        /// <summary>Sets what a new object of this component opens; before it is enabled.</summary>
        public void Configure(string file, DeviceKind kind, uint noise, UploadKind uploading = UploadKind.MainThread)
        {
            modelFile = file;
            device = kind;
            seed = noise;
            upload = uploading;
        }

        void OnEnable()
        {
            try
            {
                Open();
            }
            catch (CausewayException error)
            {
                Debug.LogError("Causeway: " + error.Message, this);
                Close();
            }
        }

        void OnDisable()
        {
            try
            {
                if (session != null) kept = session.Snapshot();
            }
            catch (CausewayException)
            {
                // A lost GPU, for example: the world begins anew.
                kept = null;
            }
            Close();
        }

        void Open()
        {
            opened = new Device(device, threads);
            model = modelAsset != null ? Model.Open(modelAsset.bytes) : Model.Open(Path.Combine(Application.streamingAssetsPath, modelFile));
            session = new Session(opened, model, new SessionOptions { Seed = seed });
            action = new float[model.Actions.Count];
            frame = new FrameTexture(session.Width, session.Height, upload);
            if (kept != null && kept.Length > 0) TryRestore(kept);
            kept = null;
            Paused = paused;
            if (ownThread) session.StartWorker();
            var renderer = GetComponent<Renderer>();
            if (renderer == null) return;
            // A property block leaves the material, which other objects may share, as it is.
            var block = new MaterialPropertyBlock();
            renderer.GetPropertyBlock(block);
            block.SetTexture(MainTexture, frame.Texture);
            block.SetTexture(BaseMap, frame.Texture);
            renderer.SetPropertyBlock(block);
        }

        /// <summary>What was kept may be of a model that has been replaced meanwhile; then the world begins anew.</summary>
        void TryRestore(byte[] snapshot)
        {
            try
            {
                session.Restore(snapshot);
            }
            catch (CausewayException error)
            {
                Debug.LogWarning("Causeway: the world begins anew: " + error.Message, this);
            }
        }

        void Close()
        {
            if (session != null) session.Dispose();
            if (model != null) model.Dispose();
            if (opened != null) opened.Dispose();
            if (frame != null) frame.Dispose();
            session = null;
            model = null;
            opened = null;
            frame = null;
        }

        void Update()
        {
            if (session == null) return;
            try
            {
                ReadKeys();
                session.SetAction(action);
                if (!ownThread) session.Pump((int)(1000 * budget));
                Receipt receipt;
                if (!frame.TryUpdate(session, out receipt)) return;
                LastReceipt = receipt;
                FramesShown++;
                onFrame.Invoke(frame.Texture);
            }
            catch (CausewayException error)
            {
                // Once, not every frame: nothing gets better by itself.
                Debug.LogError("Causeway: " + error.Message, this);
                Close();
            }
        }

        void ReadKeys()
        {
#if ENABLE_LEGACY_INPUT_MANAGER
            foreach (var binding in keys)
            {
                var index = IndexOf(model.Actions, binding.action);
                if (index < 0) continue;
                var down = false;
                foreach (var key in binding.keys) down |= Input.GetKey(key);
                if (down || binding.held) action[index] = down ? 1 : 0;
                binding.held = down;
            }
            foreach (var binding in events)
            {
                if (Input.GetKeyDown(binding.key)) QueueEvent(binding.name);
            }
#endif
        }

        /// <summary>Sets one entry of the action vector, until it is set again or a key bound to it is released.</summary>
        public void SetAction(string name, float value)
        {
            if (session == null) return;
            action[Require(model.Actions, name, "action")] = value;
        }

        /// <summary>Queues an event by its name, for the next chunk.</summary>
        /// <returns>The ticket that receipts name.</returns>
        public long QueueEvent(string name)
        {
            return session == null ? 0 : session.QueueEvent(Require(model.Events, name, "event"));
        }

        /// <summary>Everything that determines the future: a saved game.</summary>
        public byte[] Snapshot() { return session == null ? kept : session.Snapshot(); }

        /// <summary>Goes back to a snapshot of the same model; while disabled, when it is enabled next.</summary>
        public void Restore(byte[] snapshot)
        {
            if (session == null) kept = snapshot;
            else session.Restore(snapshot);
        }

        /// <summary>Begins anew.</summary>
        public void Restart(uint withSeed)
        {
            seed = withSeed;
            kept = null;
            if (session != null) session.Reset(seed);
        }

        static int IndexOf(IReadOnlyList<string> names, string name)
        {
            for (var i = 0; i < names.Count; i++)
            {
                if (names[i] == name) return i;
            }
            return -1;
        }

        static int Require(IReadOnlyList<string> names, string name, string kind)
        {
            var index = IndexOf(names, name);
            if (index < 0) throw new ArgumentException("the model has no " + kind + " " + name + "; it has " + string.Join(", ", names));
            return index;
        }
    }
}

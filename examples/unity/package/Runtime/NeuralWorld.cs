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
        [SerializeField, Tooltip("A text encoder, for prompts in words: a path below StreamingAssets, or an absolute one. Empty for none.")]
        string encoderFile = "";
        [SerializeField] DeviceKind device = DeviceKind.Auto;
        [SerializeField, Min(0), Tooltip("CPU threads; 0 takes what the machine has.")]
        int threads = 0;
        [SerializeField] uint seed = 0;
        [SerializeField, Tooltip("The library pumps on a thread of its own; otherwise Update does, within the budget.")]
        bool ownThread = false;
        [SerializeField, Range(0.1f, 16), Tooltip("Milliseconds of each frame of the game.")]
        float budget = 2;
        [SerializeField, Tooltip("Frames come at the world's own pace, made in fewer steps where the machine is too slow for it.")]
        bool keepPace = true;
        [SerializeField] UploadKind upload = UploadKind.MainThread;
        [SerializeField] List<KeyBinding> keys = KeyBinding.Usual();
        [SerializeField] List<EventBinding> events = new List<EventBinding>();
        [SerializeField] FrameEvent onFrame = new FrameEvent();
        [SerializeField] PromptEvent onPrompt = new PromptEvent();
        [SerializeField, HideInInspector] byte[] kept = null;
        [SerializeField, HideInInspector] bool keptGame = false;
        byte[] saved;
        bool ready;
        bool restarts;
        bool told;

        /// <summary>Most bytes of a snapshot that Unity should carry through a reload; of a larger world a saved game goes through it.</summary>
        const long MostKept = 64 << 20;

        static readonly int MainTexture = Shader.PropertyToID("_MainTex"), BaseMap = Shader.PropertyToID("_BaseMap");

        Device opened;
        Model model;
        Session session;
        Text text;
        Teller teller;
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

        /// <summary>How far the creation of the world is, from 0 to 1: for a progress bar. Until it is 1 events are not taken.</summary>
        public float Progress { get { return session == null ? 0 : session.Progress; } }

        /// <summary>Whether frames come at the world's own pace; set it before the component is enabled.</summary>
        public bool KeepPace
        {
            get { return keepPace; }
            set { keepPace = value; }
        }

        /// <summary>While it is set nothing is generated.</summary>
        public bool Paused
        {
            get { return paused; }
            set
            {
                paused = value;
                if (!ready) return;
                if (paused) session.Pause();
                else session.Resume();
            }
        }

        /// <summary>Called when the world was told a prompt, with the ticket that receipts name from the first frame under it on.</summary>
        public PromptEvent OnPrompt { get { return onPrompt; } }

        /// <summary>Sets what a new object of this component opens; before it is enabled.</summary>
        public void Configure(string file, DeviceKind kind, uint noise, UploadKind uploading = UploadKind.MainThread, string encoder = "")
        {
            modelFile = file;
            encoderFile = encoder;
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
                if (ready && told)
                {
                    keptGame = session.SnapshotBytes > MostKept;
                    kept = keptGame ? session.Save() : session.Snapshot();
                }
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
            // The handle comes at once; Update, or the library's thread, do the work.
            var options = new SessionOptions { Seed = seed, Pace = keepPace ? Pace.Held : Pace.Off, Governor = keepPace };
            if (model.ReadsPrompts)
            {
                // A bundle has both in one file. What is told shows at once.
                options.Codec = model;
                options.Recache = true;
            }
            session = Session.Begin(opened, model, options);
            if (!string.IsNullOrEmpty(encoderFile))
            {
                using (var file = Model.Open(Path.Combine(Application.streamingAssetsPath, encoderFile)))
                {
                    text = new Text(opened, file, new TextOptions { MostRows = model.PromptRows });
                }
            }
            teller = new Teller(session, model, text);
            told = !model.ReadsPrompts;
            action = new float[model.Actions.Count];
            frame = new FrameTexture(session.Width, session.Height, upload);
            // The library's thread would not wait for a first prompt.
            if (ownThread && told) session.StartWorker();
            var renderer = GetComponent<Renderer>();
            if (renderer == null) return;
            // A property block leaves the material, which other objects may share, as it is.
            var block = new MaterialPropertyBlock();
            renderer.GetPropertyBlock(block);
            block.SetTexture(MainTexture, frame.Texture);
            block.SetTexture(BaseMap, frame.Texture);
            renderer.SetPropertyBlock(block);
        }

        /// <summary>Whether the world is there; what it should go on from is put into it first.</summary>
        bool IsThere()
        {
            if (ready) return true;
            if (!ownThread || !told) session.Pump((int)(1000 * budget));
            if (!session.Ready) return false;
            ready = true;
            if (saved != null) Try(() => Load(saved));
            else if (kept != null && kept.Length > 0 && keptGame) Try(() => Load(kept));
            else if (kept != null && kept.Length > 0) Try(() => Restore(kept));
            else if (restarts) session.Reset(seed);
            kept = saved = null;
            restarts = false;
            Paused = paused;
            // A stream of prompts begins with the first one, where the game has not said another one.
            if (!told && !teller.Waits && model.Prompts.Count > 0) teller.Tell(0);
            // It plays from the game's next frame on, so that the game has the first word.
            return false;
        }

        /// <summary>What was kept may be of a model that has been replaced meanwhile; then the world begins anew.</summary>
        void Try(Action restore)
        {
            try
            {
                restore();
            }
            catch (CausewayException error)
            {
                Debug.LogWarning("Causeway: the world begins anew: " + error.Message, this);
            }
        }

        void Close()
        {
            if (session != null) session.Dispose();
            if (text != null) text.Dispose();
            if (model != null) model.Dispose();
            if (opened != null) opened.Dispose();
            if (frame != null) frame.Dispose();
            ready = false;
            told = false;
            session = null;
            text = null;
            teller = null;
            model = null;
            opened = null;
            frame = null;
        }

        void Update()
        {
            if (session == null) return;
            try
            {
                if (!IsThere()) return;
                ReadKeys();
                var microseconds = (int)(1000 * budget);
                if (teller.Encodes) microseconds /= 2;
                Tell(microseconds);
                if (!told) return;
                if (action.Length > 0) session.SetAction(action);
                if (!ownThread) session.Pump(microseconds);
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

        /// <summary>Works on a prompt on its way.</summary>
        void Tell(int microseconds)
        {
            if (!teller.Waits) return;
            try
            {
                teller.Pump(microseconds);
            }
            catch (CausewayException error)
            {
                // What was said is lost, the world is not.
                teller.Forget();
                Debug.LogError("Causeway: " + error.Message, this);
                return;
            }
            if (teller.Waits) return;
            Begin();
            onPrompt.Invoke(teller.Ticket);
        }

        /// <summary>The stream knows what to show.</summary>
        void Begin()
        {
            if (!told && ownThread) session.StartWorker();
            told = true;
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
                if (!Input.GetKeyDown(binding.key)) continue;
                if (IndexOf(model.Prompts, binding.name) >= 0) Prompt(binding.name);
                else QueueEvent(binding.name);
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
        /// <returns>The ticket that receipts name; 0 while there is no world to take it.</returns>
        public long QueueEvent(string name)
        {
            return !ready ? 0 : session.QueueEvent(Require(model.Events, name, "event"));
        }

        /// <summary>Tells the world a prompt that its file stores, by its number in <see cref="Causeway.Model.Prompts"/>; before it is there, once it is.</summary>
        public void Prompt(int index)
        {
            if (teller != null) teller.Tell(index);
        }

        /// <summary>The same by its name.</summary>
        public void Prompt(string name)
        {
            if (teller != null) teller.Tell(Require(model.Prompts, name, "prompt"));
        }

        /// <summary>Tells the world words, once they are encoded; the component needs a text encoder for that.</summary>
        public void Say(string words)
        {
            if (teller != null) teller.Say(words);
        }

        /// <summary>How far words on their way to the world are, from 0 to 1: for a progress bar. 1 where there are none.</summary>
        public float SayProgress { get { return teller == null ? 1 : teller.Progress; } }

        /// <summary>Everything that determines the future, for rewinding: of this model, device and build of the library.</summary>
        public byte[] Snapshot() { return ready ? session.Snapshot() : keptGame ? null : kept; }

        /// <summary>Goes back to a snapshot; before the world is there, once it is.</summary>
        public void Restore(byte[] snapshot)
        {
            if (ready) session.Restore(snapshot);
            else kept = snapshot;
            keptGame = false;
            Remembered();
        }

        /// <summary>A saved game: small, for any device and later versions of the library.</summary>
        public byte[] Save() { return ready ? session.Save() : saved ?? (keptGame ? kept : null); }

        /// <summary>Goes on from a saved game of the same model; before the world is there, once it is.</summary>
        public void Load(byte[] game)
        {
            if (ready) session.Load(game);
            else saved = game;
            Remembered();
        }

        /// <summary>What the world was about to be told is given up; what it goes on from knows what to show.</summary>
        void Remembered()
        {
            if (teller != null) teller.Forget();
            if (ready) Begin();
        }

        /// <summary>Changes what frames are made with; null leaves a value as it is.</summary>
        public void SetQuality(int? steps = null, int? route = null, int? window = null)
        {
            if (ready) session.SetQuality(steps, route, window);
        }

        /// <summary>Begins anew.</summary>
        public void Restart(uint withSeed)
        {
            seed = withSeed;
            kept = saved = null;
            if (ready) session.Reset(seed);
            else restarts = session != null;
            // A first prompt that waited for its chunk was dropped.
            if (ready && FramesShown == 0 && model.Prompts.Count > 0) teller.Tell(0);
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

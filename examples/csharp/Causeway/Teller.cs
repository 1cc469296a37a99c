using System;

namespace Causeway
{
    /// <summary>Tells a session prompts while a game goes on: those that a bundle stores, and words that a player types.</summary>
    /// <remarks>
    /// Of the session's prompts it uses the first slot. What is told comes in force with the next chunk; told while an earlier one still waits for
    /// its chunk, it follows that one.
    /// </remarks>
    public sealed class Teller
    {
        readonly Session session;
        readonly Model bundle;
        readonly Text text;
        readonly Way way;
        int stored = -1;
        bool encodes, words;

        /// <summary>For a session of <paramref name="bundle"/>; <paramref name="text"/>, which stays the caller's, may be null where nobody types. A
        /// session without <see cref="SessionOptions.Recache"/> needs another <paramref name="way"/>.</summary>
        public Teller(Session session, Model bundle, Text text = null, Way way = Way.Recache)
        {
            if (text != null && text.Width != bundle.PromptWidth)
            {
                throw new ArgumentException("the text encoder makes rows of " + text.Width + " numbers, the model reads " + bundle.PromptWidth);
            }
            this.session = session;
            this.bundle = bundle;
            this.text = text;
            this.way = way;
        }

        /// <summary>Ticket of the newest prompt that the session was told; receipts name it.</summary>
        public long Ticket { get; private set; }

        /// <summary>A prompt is on its way to the session.</summary>
        public bool Waits { get { return encodes || words || stored >= 0; } }

        /// <summary>How far the words are, from 0 to 1; 1 where there are none on their way.</summary>
        public float Progress { get { return encodes ? text.Progress : 1; } }

        /// <summary>Tells a prompt that the bundle stores, by its place in <see cref="Model.Prompts"/>.</summary>
        public void Tell(int index)
        {
            if (index < 0 || index >= bundle.Prompts.Count)
            {
                throw new ArgumentOutOfRangeException("index", "prompt " + index + " of a model that stores " + bundle.Prompts.Count);
            }
            stored = index;
            words = false;
        }

        /// <summary>Tells words, once they are encoded.</summary>
        public void Say(string prompt)
        {
            if (text == null) throw new InvalidOperationException("there is no text encoder");
            text.Begin(prompt);
            encodes = true;
            words = false;
        }

        /// <summary>Gives up what is on its way: for a game that is loaded, for example.</summary>
        public void Forget()
        {
            stored = -1;
            encodes = words = false;
        }

        /// <summary>Words are being encoded.</summary>
        public bool Encodes { get { return encodes; } }

        /// <summary>Encodes for about this many microseconds, and gives the session what it should be told; call it in every frame of the game. Allocates
        /// nothing.</summary>
        public void Pump(int microseconds)
        {
            if (encodes && text.Pump(microseconds))
            {
                encodes = false;
                words = true;
                stored = -1;
            }
            if (words ? !session.TrySetPrompt(0, text.Rows) : stored < 0 || !session.TryLoadPrompt(0, bundle, stored)) return;
            words = false;
            stored = -1;
            var change = Condition.Prompt(0);
            change.Way = way;
            Ticket = session.QueueCondition(change);
        }
    }
}

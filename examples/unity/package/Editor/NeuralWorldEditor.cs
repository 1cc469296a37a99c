using UnityEditor;
using UnityEngine;

namespace Causeway.Unity.Editor
{
    /// <summary>The component's fields, and in play mode what it does and buttons for its events and prompts.</summary>
    [CustomEditor(typeof(NeuralWorld))]
    public sealed class NeuralWorldEditor : UnityEditor.Editor
    {
        byte[] saved;

        /// <inheritdoc/>
        public override void OnInspectorGUI()
        {
            DrawDefaultInspector();
            var world = (NeuralWorld)target;
            if (!Application.isPlaying || world.Session == null) return;
            EditorGUILayout.Space();
            EditorGUILayout.LabelField("Frame", world.LastReceipt.Frame + " (" + world.FramesShown + " shown)");
            var place = world.Session.OnGpu ? "GPU" : "CPU";
            EditorGUILayout.LabelField("Memory", EditorUtility.FormatBytes(world.Session.TotalBytes) + " on the " + place);
            EditorGUILayout.BeginHorizontal();
            foreach (var name in world.Model.Events)
            {
                if (GUILayout.Button(name)) world.QueueEvent(name);
            }
            foreach (var name in world.Model.Prompts)
            {
                if (GUILayout.Button(name)) world.Prompt(name);
            }
            EditorGUILayout.EndHorizontal();
            EditorGUILayout.BeginHorizontal();
            world.Paused = GUILayout.Toggle(world.Paused, "Pause", "Button");
            if (GUILayout.Button("Snapshot")) saved = world.Snapshot();
            if (GUILayout.Button("Restore") && saved != null) world.Restore(saved);
            EditorGUILayout.EndHorizontal();
        }

        /// <inheritdoc/>
        public override bool RequiresConstantRepaint() { return Application.isPlaying; }
    }
}

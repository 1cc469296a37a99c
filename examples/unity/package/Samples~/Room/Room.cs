using Causeway.Unity;
using UnityEngine;

/// <summary>Add this to an empty object of an empty scene: it puts a playable world before the camera.</summary>
public sealed class Room : MonoBehaviour
{
    [SerializeField] string modelFile = "rooms.safetensors";

    void Start()
    {
        var screen = GameObject.CreatePrimitive(PrimitiveType.Quad);
        screen.name = "Screen";
        screen.SetActive(false);
        screen.transform.position = new Vector3(0, 0, 2);
        screen.transform.localScale = new Vector3(2, 2, 1);
        screen.AddComponent<NeuralWorld>().Configure(modelFile, Causeway.DeviceKind.Auto, 7);
        screen.SetActive(true);
        if (Camera.main == null) new GameObject("Camera") { tag = "MainCamera" }.AddComponent<Camera>();
        Camera.main.transform.position = Vector3.zero;
    }
}

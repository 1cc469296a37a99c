using System.Collections;
using NUnit.Framework;
using UnityEngine;
using UnityEngine.TestTools;

namespace Causeway.Unity.Tests
{
    /// <summary>Needs rooms.safetensors in StreamingAssets.</summary>
    public sealed class NeuralWorldTests
    {
        static NeuralWorld Create()
        {
            var holder = new GameObject("world");
            holder.SetActive(false);
            var world = holder.AddComponent<NeuralWorld>();
            world.Configure("rooms.safetensors", DeviceKind.Cpu, 7);
            holder.SetActive(true);
            return world;
        }

        static IEnumerator Frames(NeuralWorld world, long count)
        {
            for (var end = world.FramesShown + count; world.FramesShown < end;) yield return null;
        }

        [UnityTest]
        public IEnumerator FramesArriveInOrder()
        {
            var world = Create();
            for (var n = 0; n < 5; n++)
            {
                yield return Frames(world, 1);
                Assert.AreEqual(n, world.LastReceipt.Frame);
            }
            Object.Destroy(world.gameObject);
        }

        [UnityTest]
        public IEnumerator AWorldIsCreatedFrameByFrameAndGoesOnFromASavedGame()
        {
            var world = Create();
            var progress = world.Progress;
            Assert.IsTrue(progress < 1);
            while (world.Progress < 1)
            {
                Assert.IsTrue(world.Progress >= progress);
                progress = world.Progress;
                yield return null;
            }
            yield return Frames(world, 3);
            var saved = world.Save();
            var frame = world.LastReceipt.Frame;
            Object.Destroy(world.gameObject);
            // As after a new start of the game.
            world = Create();
            world.Load(saved);
            yield return Frames(world, 1);
            // A frame that was shown before it was remembered is made again.
            Assert.IsTrue(world.LastReceipt.Frame >= frame);
            Object.Destroy(world.gameObject);
        }

        [UnityTest]
        public IEnumerator ADisabledWorldGoesOnWhereItWas()
        {
            var world = Create();
            yield return Frames(world, 3);
            world.gameObject.SetActive(false);
            Assert.IsNull(world.Texture);
            world.gameObject.SetActive(true);
            yield return Frames(world, 1);
            Assert.AreEqual(3, world.LastReceipt.Frame);
            Object.Destroy(world.gameObject);
        }
    }
}

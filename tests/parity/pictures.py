"""Small pictures in every kind of file that is read, and their pixels as Pillow shows them: turned as EXIF says, laid over black."""

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file

WIDTH, HEIGHT = 48, 32


def picture():
    """Smooth, without symmetry, so that every turn differs and no decoder's upsampling matters."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / [[[WIDTH]], [[WIDTH]]]
    planes = [0.1 + 0.8 * x, 0.2 + 0.9 * y, 0.5 + 0.4 * np.sin(4 * x + 3 * y)]
    return (255 * np.stack(planes, -1)).round().astype(np.uint8)


def make(out):
    folder = out / "pictures"
    folder.mkdir()
    rgb = Image.fromarray(picture())
    ramp = np.tile(np.linspace(0, 255, WIDTH).round().astype(np.uint8), (HEIGHT, 1))
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray(ramp))
    files = {}

    def save(name, image, **options):
        image.save(folder / name, **options)
        files[name] = folder / name

    def turned(orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        return exif.tobytes()

    save("rgb.png", rgb)
    save("grey.png", rgb.convert("L"))
    save("grey-alpha.png", Image.merge("LA", (rgb.convert("L"), Image.fromarray(ramp))))
    save("alpha.png", rgba)
    save("palette.png", rgb.quantize(16, method=Image.Quantize.FASTOCTREE), transparency=3)
    save("deep.png", Image.fromarray((picture()[..., 0].astype(np.uint16) * 257)))
    save("turned.png", rgb, exif=turned(8))
    save("plain.jpg", rgb, quality=95)
    save("progressive.jpg", rgb, quality=95, progressive=True, subsampling=0)
    save("grey.jpg", rgb.convert("L"), quality=95)
    save("cmyk.jpg", rgb.convert("CMYK"), quality=95)
    for orientation in range(1, 9):
        save(f"turned-{orientation}.jpg", rgb, quality=90, exif=turned(orientation))
    save("lossy.webp", rgb, quality=90)
    save("lossless.webp", rgba, lossless=True, exact=True)
    save("turned.webp", rgb, lossless=True, exif=turned(6))
    save("film.webp", rgb, save_all=True, append_images=[ImageOps.invert(rgb)], lossless=True)

    pixels = {}
    for name, path in files.items():
        image = ImageOps.exif_transpose(Image.open(path))
        if image.mode.startswith("I"):
            image = Image.fromarray((np.array(image) // 257).astype(np.uint8))
        image = image.convert("RGBA" if "transparency" in image.info or image.mode in ("RGBA", "LA") else "RGB")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        shown = Image.alpha_composite(black, image).convert("RGB") if image.mode == "RGBA" else image
        pixels[name] = torch.from_numpy(np.array(shown))
    save_file(pixels, out / "pictures.safetensors")

"""The text encoder: transformers' UMT5 and T5 encoders, SentencePiece as the tokenizer, and the cleaning of the Wan project."""

import html
import io
import json
import re

import ftfy
import sentencepiece
import torch
from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel
from transformers.models.umt5.modeling_umt5 import UMT5Attention

VOCABULARY = 400
LENGTHS = [1, 7, 40, 200]


def randomised(net, seed):
    """Weights that survive bf16 and f16, with position biases that matter."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.ndim == 1:
                values = 1 + 0.2 * torch.randn_like(p)
            elif "relative_attention_bias" in name:
                values = 2 * torch.randn_like(p)
            elif "shared" in name:
                values = torch.randn_like(p)
            else:
                values = torch.randn_like(p) / p.shape[1] ** 0.5
            values = values.bfloat16().float()
            p.copy_(torch.where(values.abs() < 2.0**-14, 0.0, values))
    return net.eval()


def original(net):
    """The network under the names of the Wan project's own encoder."""
    renames = [
        ("shared.", "token_embedding."), ("encoder.final_layer_norm.", "norm."), ("encoder.block.", "blocks."),
        ("layer.0.SelfAttention.relative_attention_bias.", "pos_embedding.embedding."), ("layer.0.SelfAttention.", "attn."),
        ("layer.0.layer_norm.", "norm1."), ("layer.1.layer_norm.", "norm2."), ("layer.1.DenseReluDense.wi_0.", "ffn.gate.0."),
        ("layer.1.DenseReluDense.wi_1.", "ffn.fc1."), ("layer.1.DenseReluDense.wo.", "ffn.fc2."),
    ]
    out = {}
    for name, value in net.state_dict().items():
        if name == "encoder.embed_tokens.weight":  # the same tensor as `shared`
            continue
        for theirs, ours in renames:
            name = name.replace(theirs, ours)
        out[name] = value
    return out


@torch.no_grad()
def encoded(net, prompts):
    """Embeddings of prompts in one padded batch, without the padding."""
    longest = max(len(ids) for ids in prompts)
    ids = torch.tensor([p + [0] * (longest - len(p)) for p in prompts])
    mask = torch.tensor([[1] * len(p) + [0] * (longest - len(p)) for p in prompts])
    out = net(input_ids=ids, attention_mask=mask).last_hidden_state
    return [row[: len(p)].contiguous() for row, p in zip(out, prompts)]


def buckets():
    """Bucket of every distance key - query from -600 to 600, for some numbers of buckets and largest distances."""
    out = {}
    for count, most in [(32, 128), (16, 20), (8, 100), (64, 500)]:
        config = UMT5Config(relative_attention_num_buckets=count, relative_attention_max_distance=most)
        attention = UMT5Attention(config, has_relative_attention_bias=True, layer_idx=0)
        distances = torch.arange(-600, 601)
        out[f"buckets.{count}.{most}"] = attention._relative_position_bucket(distances).float()
    return out


def networks(out):
    umt5 = UMT5Config(vocab_size=VOCABULARY, d_model=64, d_kv=16, d_ff=96, num_layers=3, num_heads=4, dropout_rate=0.0)
    umt5 = randomised(UMT5EncoderModel(umt5), 21)
    # The older design: one position bias for all layers. Its width is that of the tiny Wan network's text.
    t5 = T5Config(vocab_size=VOCABULARY, d_model=24, d_kv=8, d_ff=40, num_layers=2, num_heads=2, dropout_rate=0.0,
                  feed_forward_proj="gated-gelu", layer_norm_epsilon=1e-6)
    t5 = randomised(T5EncoderModel(t5), 22)
    torch.save({k: v.bfloat16() for k, v in original(umt5).items()}, out / "umt5.pth")
    folder = out / "umt5-hf"
    umt5.half().save_pretrained(folder, max_shard_size="60KB")
    umt5.float()
    (folder / "config.json").unlink()
    save_file({k: v.contiguous() for k, v in t5.state_dict().items() if k != "encoder.embed_tokens.weight"},
              out / "umt5-shared.safetensors")
    torch.manual_seed(23)
    prompts = [torch.randint(3, VOCABULARY, (n,)).tolist() for n in LENGTHS]
    data = buckets()
    for name, net in [("umt5", umt5), ("shared", t5)]:
        for i, (ids, rows) in enumerate(zip(prompts, encoded(net, prompts))):
            data |= {f"{name}.{i}.ids": torch.tensor(ids).float(), f"{name}.{i}.context": rows}
    save_file(data, out / "umt5-parity.safetensors")


CORPUS = """
a red fox runs through the snow while the camera follows it slowly from left to right
the camera pans over a quiet harbour at dawn, fishing boats rocking, gulls in the air, cinematic, 35mm film
an old man with a grey beard reads a newspaper in a café; steam rises from his cup
two robots play chess in a garden, close-up, shallow depth of field, warm light
ein kleiner Hund springt über den Zaun, während die Sonne untergeht
une danseuse tourne sous la pluie, les lumières de la ville derrière elle
一只熊猫在竹林里吃竹子，镜头缓慢推进
夜晚的城市街道，霓虹灯闪烁，雨水反射着光
猫が窓辺で眠っている。外では雪が降っている。
"""

AWKWARD = [
    "a red fox runs through the snow",
    "  leading,   inner\t\tand trailing\n\n whitespace  ",
    "",
    "   ",
    "A",
    "Fish &amp; chips &lt;b&gt; &amp;lt;twice&amp;gt; &eacute;&#233;&#xe9; &copy 2024 &notit; &bogus;",
    "it\u2019s \u201cquoted\u201d \u2018singly\u2019 and \u201elow\u201f",
    "\uff21\uff22\uff23 \ufb01ne \u2460 \u00bd \u2122 \u338f",
    "cafe\u0301 caf\u00e9 A\u030angstro\u0308m",
    "一只熊猫在竹林里吃竹子，镜头缓慢推进。",
    "猫が窓辺で眠っている ｶﾞｷﾞｸﾞ",
    "emoji \U0001f98a\U0001f3fd\u200d\U0001f33e flags \U0001f1e9\U0001f1ea",
    "unknown script \u12a0\u121b\u122d\u129b \u0e44\u0e17\u0e22 \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "zero\u200bwidth no\u00a0break \u3000ideographic\u2028line\u2029para",
    "control\x01\x08 characters\x7f and \ufeffmark",
    "▁literal ▁▁ mark",
    "</s> <pad> <unk> <extra_id_0>",
    "$100,000.00 + 3.14e-10 = ??? [x](y) {z} \\n \\u0041",
    "word" * 300,
    "the camera pans over a quiet harbour " * 120,
]


def cleaned(text):
    """`whitespace` cleaning as in the Wan project: ftfy, entities twice, runs of whitespace."""
    text = ftfy.fix_text(text)
    text = html.unescape(html.unescape(text)).strip()
    return re.sub(r"\s+", " ", text).strip()


def tokenizer(out):
    """A tiny SentencePiece model as tokenizer.json, and the ids of awkward texts. SentencePiece itself must agree with them, but where
    a text spells special tokens, which it cannot contain there."""
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.strip().splitlines() * 20), model_writer=trained, vocab_size=VOCABULARY,
        model_type="unigram", normalization_rule_name="nmt_nfkc", byte_fallback=True, character_coverage=0.98, pad_id=0,
        eos_id=1, unk_id=2, bos_id=-1, num_threads=1, minloglevel=2, hard_vocab_limit=True,
    )
    (out / "umt5-spiece.model").write_bytes(trained.getvalue())
    proto = sentencepiece_model_pb2.ModelProto.FromString(trained.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    vocabulary = [(piece.piece, piece.score) for piece in proto.pieces]
    fast = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=True))
    fast.normalizer = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    fast.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True),
    ])
    fast.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast.add_special_tokens(["<pad>", "</s>", "<unk>"])
    fast.save(str(out / "umt5-tokenizer.json"), pretty=False)
    rows = []
    for text in AWKWARD:
        text_cleaned = cleaned(text)
        ids = fast.encode(text_cleaned).ids
        assert "</s>" in text or ids == pieces.encode(text_cleaned) + [1], text
        ids = ids if len(ids) <= 512 else [*ids[:511], 1]
        rows.append({"text": text, "cleaned": text_cleaned, "ids": ids})
    (out / "umt5-tokens.json").write_text(json.dumps(rows, ensure_ascii=True, indent=0))


def write(out):
    networks(out)
    tokenizer(out)

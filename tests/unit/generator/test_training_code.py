"""The linear code of clips, that diffusers' autoencoder starts as exactly that, and attention in training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from torch_compat import complete_torchvision

complete_torchvision()

from diffusers import LTXVideoTransformer3DModel  # noqa: E402

from generator.catalog import MODEL  # noqa: E402
from training.generator import command, data, decoder, pca, text, transformer, vae  # noqa: E402
from training.generator.attention import make_plain  # noqa: E402

WIDTHS = [12, 36, 40, 24]


@pytest.fixture(scope="module")
def clips() -> Tensor:
    """Smooth moving patterns float32[6, 3, 9, 64, 64] in -1..1."""
    rng = np.random.default_rng(0)
    axis = np.arange(64) / 64
    time = np.arange(9)[:, None, None] / 8
    made = []
    for _ in range(18):
        a, b, c, phase = rng.uniform(-4, 4, 4)
        made.append(np.sin(a * axis[None, None, :] + b * axis[None, :, None] + c * time + phase))
    return torch.tensor(np.stack(made), dtype=torch.float32).reshape(6, 3, 9, 64, 64)


def test_patches_and_blocks_can_be_undone(clips: Tensor) -> None:
    cut = pca.patches(clips, 2)
    assert cut.shape == (6, 9, 32, 32, 12)
    assert torch.equal(pca.unpatch(cut, 2), clips)
    assert torch.equal(pca.unblock(pca.blocks(cut)), cut)


def test_the_code_keeps_smooth_clips(clips: Tensor) -> None:
    levels = pca.fit_levels(clips, 2, WIDTHS)
    codes = pca.encode(clips, 2, levels)
    assert codes.shape == (6, 2, 4, 4, 24)
    assert vae.psnr(pca.decode(codes, 2, levels), clips) > 30


def test_the_autoencoder_starts_as_the_code(clips: Tensor) -> None:
    levels = pca.fit_levels(clips, 2, WIDTHS)
    codec = vae.build(24, levels, 2, width=72).eval()
    codes = pca.encode(clips, 2, levels).permute(0, 4, 1, 2, 3)
    with torch.no_grad():
        encoded = codec.encode(clips).latent_dist.mode()
        decoded = codec.decode(codes).sample
    assert (encoded - codes).square().mean().sqrt() < 0.05 * codes.square().mean().sqrt()
    assert vae.psnr(decoded, pca.decode(codes.permute(0, 2, 3, 4, 1), 2, levels)) > 30


def test_attention_in_training_gives_what_diffusers_own_gives() -> None:
    torch.manual_seed(0)
    model = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=16, cross_attention_dim=32,
        num_layers=2, caption_channels=12,
    ).eval()  # fmt: skip
    asked = {
        "hidden_states": torch.randn(3, 20, 8), "encoder_hidden_states": torch.randn(3, 7, 12),
        "timestep": torch.rand(3, 20) * 1000, "video_coords": torch.rand(3, 3, 20) * 9,
        "encoder_attention_mask": (torch.arange(7) < torch.tensor([[7], [4], [1]])).float(),
    }  # fmt: skip
    with torch.inference_mode():
        wanted = model(**asked, return_dict=False)[0]
        make_plain(model)
        found = model(**asked, return_dict=False)[0]
    assert wanted.std() > 0.01
    assert torch.allclose(found, wanted, atol=1e-5)


def apart(reader: transformer.Reader, body: str, hat: str) -> float:
    """How far the two colours of a text are from themselves the other way round, as a share."""
    said = [f"a {one} fox with a {two} cap dancing" for one, two in ((body, hat), (hat, body))]
    with torch.inference_mode():
        first, second = (
            torch.stack([reader([words])[0][0, words.split().index(colour)] for colour in (body, hat)])
            for words in said
        )
    return float((first - second).norm() / first.norm())


def test_a_new_text_encoder_sees_what_stands_beside_a_word(tmp_path: Path) -> None:
    names = text.tokenizer()
    names.save_pretrained(tmp_path / "tokenizer")
    text.encoder(len(names)).save_pretrained(tmp_path / "text_encoder")
    assert apart(transformer.Reader(tmp_path), "red", "blue") > 0.1


def test_the_shipped_text_encoder_tells_whose_colour_is_whose() -> None:
    for colours in (("red", "blue"), ("yellow", "green"), ("white", "purple")):
        assert apart(transformer.Reader(MODEL), *colours) > 0.1


def test_training_goes_on_from_what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.argv",
        ["training", "--folder", str(tmp_path), "--start", str(MODEL), "--only", "start", "--threads", "1"],
    )
    assert command.main() == 0
    shipped = LTXVideoTransformer3DModel.from_pretrained(MODEL / "transformer").float().state_dict()
    begun = transformer.new_transformer(tmp_path).state_dict()
    assert begun.keys() == shipped.keys()
    assert all(torch.equal(begun[name], weight) for name, weight in shipped.items())
    assert transformer.Reader(tmp_path)(["a fox"])[0].shape[0] == 1
    linear = vae.build(data.LATENTS, data.levels(tmp_path), data.SIDE)
    learnt = decoder.first_decoder(tmp_path).state_dict()
    assert learnt.keys() == linear.decoder.state_dict().keys()
    assert any(weight.abs().max() > 0 for name, weight in learnt.items() if "resnets.0.conv2" in name)

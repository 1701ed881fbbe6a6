"""Tiny speech-recognition models of both families, in the folders that transformers makes."""

from pathlib import Path

import torch

from torch_compat import complete_torchvision

complete_torchvision()

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import (  # noqa: E402
    PreTrainedTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)


def tokenizer(*words: str) -> PreTrainedTokenizerFast:
    """One piece for each word; the first is the end, and what a CTC writes where it hears nothing."""
    tok = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=words[0]))
    tok.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tok, unk_token=words[0], pad_token=words[0], eos_token=words[0]
    )


def letters(folder: Path, said: str) -> Path:
    """A CTC model that hears the same word whatever is said: its last layer knows nothing else."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=2, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(16, 16), conv_stride=(80, 20), conv_kernel=(80, 20), num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, pad_token_id=0,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config).eval()
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.bias.copy_(torch.tensor([0.0, 1.0]))
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer("[pad]", said).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000, return_attention_mask=False).save_pretrained(folder)
    return folder


def whisper(folder: Path) -> Path:
    """A Whisper with random weights."""
    torch.manual_seed(0)
    tok = tokenizer("</s>", "<s>", "kite", "moon", "sea")
    config = WhisperConfig(
        vocab_size=len(tok), num_mel_bins=8, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        max_source_positions=1500, max_target_positions=448, pad_token_id=0, eos_token_id=0, bos_token_id=1,
        decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    WhisperForConditionalGeneration(config).eval().save_pretrained(folder, safe_serialization=True)
    tok.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=8).save_pretrained(folder)
    return folder

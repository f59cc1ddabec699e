"""A Whisper model in its real format that says what it is told to."""

from __future__ import annotations

from pathlib import Path

LANGUAGES = ("en", "de", "fr")
WHISPER_TIMESTAMPS = 1501


def make_whisper(folder: Path, says: str, language: str) -> Path:
    """A Whisper model in CTranslate2 form that hears `says` in its first second of speech, whatever the sound.

    Attention and feed-forward layers are zero, so the state at a position is its position embedding, which is set to
    the embedding of the token to say there.
    """
    import torch
    from ctranslate2.converters import TransformersConverter
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        GenerationConfig,
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    words = [("\u0120" if n else "") + word for n, word in enumerate(says.split())]  # byte-level BPE writes a space so
    # CTranslate2 takes a model for a multilingual one when its vocabulary has the empty token.
    vocabulary = dict.fromkeys([*sorted(pre_tokenizers.ByteLevel.alphabet()), *words, ""])
    tokenizer = Tokenizer(models.BPE(vocab={text: n for n, text in enumerate(vocabulary)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = ("endoftext", "startoftranscript", *LANGUAGES, "translate", "transcribe", "startoflm", "startofprev")
    special = [f"<|{name}|>" for name in (*names, "nospeech", "notimestamps")]
    tokenizer.add_special_tokens(special)
    ids = {token: tokenizer.token_to_id(token) for token in special}
    first_timestamp = tokenizer.get_vocab_size()

    torch.manual_seed(0)
    end = ids["<|endoftext|>"]
    config = WhisperConfig(
        vocab_size=first_timestamp + WHISPER_TIMESTAMPS,
        d_model=64,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=1,
        decoder_attention_heads=1,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
        decoder_start_token_id=ids["<|startoftranscript|>"],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = WhisperForConditionalGeneration(config).eval()
    one_second = first_timestamp + 50
    script = [first_timestamp, *map(tokenizer.token_to_id, words), one_second, end]
    at_position = [ids[f"<|{language}|>"], end, *script]
    with torch.no_grad():
        decoder = model.model.decoder
        for parameter in decoder.layers[0].parameters():
            parameter.zero_()
        embeddings = torch.nn.functional.normalize(torch.randn_like(decoder.embed_tokens.weight)) * 10
        decoder.embed_tokens.weight.copy_(embeddings)
        decoder.embed_positions.weight[: len(at_position)] = embeddings[at_position] * 20
    model.generation_config = GenerationConfig(
        suppress_tokens=[],
        begin_suppress_tokens=[end],
        lang_to_id={f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES},
        decoder_start_token_id=ids["<|startoftranscript|>"],
    )
    source = folder / "transformers"
    model.save_pretrained(source)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    ).save_pretrained(source)
    WhisperFeatureExtractor().save_pretrained(source)
    converter = TransformersConverter(str(source), copy_files=["tokenizer.json", "preprocessor_config.json"])
    return Path(converter.convert(str(folder / says[:5].strip())))

"""Judges that an operator brings: any transformers chat model or text classification model, of one interface.

1. A chat judge answers questions: `ChatJudge.ask` gives yes or no with a probability, for whoever has a
   question (the gate's grey band asks "is this X or merely similar?").
2. Guard models have a form of their own, in which they say what is wrong (`classifiers.judge_forms`); any
   other chat model is asked one question per category.
3. A text is put into the model's own chat template as the user's words, and nothing that it says is
   followed: only the first words of the answer are read, and one in another form is an error, never "safe".
4. Weights are safetensors of a known digest; no code of a model is ever run (`classifiers.judge_source`).
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch

import torch_compat
from classifiers.base import Vectors
from classifiers.errors import ModelUnusable
from classifiers.judge_forms import FORMS, Form, UnreadableAnswer, label_category
from classifiers.judge_source import SETTING, JudgeSource, find_judge, whole_model
from classifiers.unsafe.check import CATEGORIES, MOST, NEVER
from classifiers.unsafe.labels import logit
from classifiers.unsafe.taxonomy import Category

MAX_TOKENS: Final = 2048
"""Of a question. A longer text is judged in parts that overlap, and the worst part counts."""
OVERLAP: Final = 200
"""Letters that stand in two parts, so that nothing is said only across a cut."""
SHORTEST: Final = 16  # letters of what is still cut in two
MAX_PARTS: Final = 64
"""Of one text; one that needs more is not judged."""
ANSWER_TOKENS: Final = 48
PROBES: Final = ("Is a dog an animal?", "Can a stone swim?")
"""What a judge is tried with when it is loaded."""
YES_NO: Final = "{question}\nAnswer with one word, yes or no."
ABOUT: Final = "Does the following request to a video generator ask for {what}?\nRequest: {text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a judge answered: ``text`` as it stands, and how likely "yes" was against "no"."""

    text: str
    probability: float


class Asked(Protocol):
    """Answers a question that has yes or no as its answer."""

    @property
    def space(self) -> str: ...  # noqa: D102
    def ask(self, question: str) -> Answer: ...  # noqa: D102


class TooLong(UnreadableAnswer):
    """A text that the model would see a part of."""


class ChatJudge:
    """A chat model as a judge; safe to share between threads, one of which asks at a time."""

    sentences: Final = False

    def __init__(self, source: JudgeSource, *, form: str = "auto") -> None:
        """Load it; `form`: a name of `FORMS`, or ``auto``. Raises: ModelUnusable."""
        self._form = _form(source, form)
        self._words, self._model = _loaded(source, "AutoModelForCausalLM")
        if not getattr(self._words, "chat_template", None):
            raise ModelUnusable(f"the judge {source.folder.name} has no chat template: use a chat model")
        self.space = f"judge-{source.digest[:16]}-{self._form.name}"
        self.digest = source.digest
        self._marks = _marks(self._words)
        self._lock = threading.Lock()
        self._yes, self._no = self._first("yes", "Yes", "YES"), self._first("no", "No", "NO")
        self._try(source.folder.name)

    def _try(self, name: str) -> None:
        """Ask what anybody can be asked, so that damage shows at the start. Raises: ModelUnusable."""
        try:
            asked = [self._read([{"role": "user", "content": text}], {})["input_ids"] for text in PROBES]
            share = self.ask(PROBES[0]).probability
        except Exception as error:  # noqa: BLE001 - a template of its own may raise anything
            why = f"{type(error).__name__}: {str(error)[:80]}"
            raise ModelUnusable(f"the judge {name} cannot be asked ({why}); fetch it again") from None
        if torch.equal(*asked):
            raise ModelUnusable(
                f"the chat template of the judge {name} leaves out what it is asked: fetch it again"
            )
        if math.isnan(share):
            raise ModelUnusable(f"the weights of the judge {name} answer with no number: fetch it again")

    def ask(self, question: str) -> Answer:
        """Yes or no, and how likely yes is. Any question; it is asked in the model's own template.

        Raises: TooLong for a question that the model would see a part of.
        """
        read = self._read([{"role": "user", "content": YES_NO.format(question=question)}], {})
        with self._lock, torch.inference_mode():
            last = self._model(**read).logits[0, -1].float()
        yes, no = (torch.logsumexp(last[ids], 0) for ids in (self._yes, self._no))
        text = self._words.decode([int(last.argmax())]).strip()
        return Answer(text=text, probability=float(torch.sigmoid(yes - no)))

    def judge(self, texts: Sequence[str]) -> Vectors:
        """Logits ``float32[n, len(CATEGORIES)]``. Raises: UnreadableAnswer for an answer in another form."""
        return in_parts(self._judged, texts)

    def _judged(self, text: str) -> list[float]:
        if self._form.questions:
            told = {
                category: self._question(category, what, text)
                for category, what in self._form.questions.items()
            }
        else:
            told = dict(self._form.read(self._answer(text)))
        return _row(told)

    def _question(self, category: Category, what: str, text: str) -> float:
        if not self._form.options:
            return self.ask(ABOUT.format(what=what, text=text)).probability
        options = {name: value.format(what=what) if isinstance(value, str) else value
                   for name, value in self._form.options.items()}  # fmt: skip
        settings = {"guardian_config": options}
        read = self._read([{"role": "user", "content": text}], settings)
        with self._lock, torch.inference_mode():
            last = self._model(**read).logits[0, -1].float()
        yes, no = (torch.logsumexp(last[ids], 0) for ids in (self._yes, self._no))
        return float(torch.sigmoid(yes - no))

    def _answer(self, text: str) -> str:
        read = self._read([{"role": "user", "content": text}], {})
        with self._lock, torch.inference_mode():
            made = self._model.generate(
                **read, max_new_tokens=ANSWER_TOKENS, do_sample=False,
                pad_token_id=self._words.pad_token_id or self._words.eos_token_id or 0,
            )  # fmt: skip
        return str(self._words.decode(made[0, read["input_ids"].shape[1] :], skip_special_tokens=True))

    def _read(self, messages: list[dict[str, Any]], settings: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """The question in the model's template. Raises: TooLong.

        What the model takes for the marks of its template is none in the user's words.
        """
        content = messages[-1]["content"].encode("utf-8", "replace").decode()
        for mark in self._marks:
            content = content.replace(mark, " ".join(mark))
        told = [*messages[:-1], messages[-1] | {"content": self._form.content(content)}]
        text = self._words.apply_chat_template(told, tokenize=False, add_generation_prompt=True, **settings)
        read = self._words(text, return_tensors="pt", add_special_tokens=False)
        _demand_seen(read, MAX_TOKENS)
        return {name: read[name] for name in ("input_ids", "attention_mask")}

    def _first(self, *words: str) -> list[int]:
        """The first pieces with which these words can begin."""
        found = {
            pieces[0]
            for word in words
            for told in (word, f" {word}")
            if (pieces := self._words(told, add_special_tokens=False)["input_ids"])
        }
        return sorted(found)


class LabelJudge:
    """A text classification model as a judge: each of its labels is a category, or means that all is well."""

    sentences: Final = False

    def __init__(self, source: JudgeSource) -> None:
        """Load it. Raises: ModelUnusable, also for labels that say nothing."""
        labels = source.config.get("id2label") or {}
        self._labels = [label_category(str(labels[key])) for key in sorted(labels, key=int)]
        if not any(self._labels):
            told = ", ".join(map(str, labels.values()))[:100]
            raise ModelUnusable(
                f"the labels of {source.folder.name} ({told}) name nothing unsafe: name them in its "
                "config.json (id2label), for example sexual, violence, hate, safe"
            )
        self._many = source.config.get("problem_type") == "multi_label_classification"
        self._words, self._model = _loaded(source, "AutoModelForSequenceClassification")
        self.space = f"labels-{source.digest[:16]}"
        self._lock = threading.Lock()

    def judge(self, texts: Sequence[str]) -> Vectors:
        """Logits ``float32[n, len(CATEGORIES)]``. Raises: TooLong."""
        return in_parts(self._judged, texts)

    def _judged(self, text: str) -> list[float]:
        clean = text.encode("utf-8", "replace").decode()
        read = self._words(clean, return_tensors="pt")
        _demand_seen(read, self._longest)
        with self._lock, torch.inference_mode():
            logits = self._model(**read).logits[0].float()
        shares = torch.sigmoid(logits) if self._many else torch.softmax(logits, 0)
        told: dict[Category, float] = {}
        for category, share in zip(self._labels, shares.tolist(), strict=True):
            if category is not None:
                told[category] = max(told.get(category, 0.0), share)
        return _row(told)

    @property
    def _longest(self) -> int:
        places = getattr(self._model.config, "max_position_embeddings", 512)
        return min(int(places) - 2, 512)


def in_parts(judged: Callable[[str], list[float]], texts: Sequence[str]) -> Vectors:
    """Rows of texts; of one that the model does not see whole, the highest of its parts."""
    rows = []
    for text in texts:
        left, found = [text], []
        while left:
            part = left.pop()
            try:
                found.append(judged(part))
            except TooLong:
                if len(part) < SHORTEST or len(left) + len(found) >= MAX_PARTS:
                    raise
                middle, more = len(part) // 2, min(OVERLAP, len(part) // 4) // 2
                left += [part[middle - more :], part[: middle + more]]
        rows.append(np.max(found, axis=0))
    return np.array(rows, np.float32).reshape(len(texts), len(CATEGORIES))


def _demand_seen(read: Mapping[str, torch.Tensor], most: int) -> None:
    """Raises: TooLong."""
    count = read["input_ids"].shape[1]
    if count > most:
        raise TooLong(f"the text has {count} pieces; the judge sees {most}")


def open_judge(
    model: str, *, sha256: str = "", form: str = "auto", setting: str = SETTING
) -> ChatJudge | LabelJudge:
    """The judge of a folder or ``owner/name@commit``, by its configuration; `setting`: which names it.

    Raises: ModelUnusable.
    """
    source = find_judge(model, sha256, setting)
    kinds = " ".join(map(str, source.config.get("architectures") or ()))
    return LabelJudge(source) if "ForSequenceClassification" in kinds else ChatJudge(source, form=form)


def _form(source: JudgeSource, name: str) -> Form:
    if name != "auto":
        if name not in FORMS:
            raise ModelUnusable(f"there is no form {name[:40]!r}; choose one of: {', '.join(FORMS)}")
        return FORMS[name]
    told = f"{source.config.get('_name_or_path', '')} {source.folder.name} {source.folder.parent.parent.name}"
    plain = "".join(letter for letter in told.lower() if letter.isalnum())
    return next((form for form in FORMS.values() if form.sign and form.sign in plain), FORMS["questions"])


def _marks(words: Any) -> list[str]:
    """The texts that a tokenizer reads as marks of its own wherever they stand, longest first."""
    added = getattr(words, "added_tokens_decoder", {}).values()
    found = {*map(str, words.all_special_tokens), *(str(one) for one in added)}
    return sorted((mark for mark in found if len(mark) > 1 and mark.strip()), key=len, reverse=True)


def _row(told: Mapping[Category, float]) -> list[float]:
    return [
        min(max(_logit(told[category]), NEVER), MOST) if category in told else NEVER
        for category in CATEGORIES
    ]


def _logit(share: float) -> float:
    if math.isnan(share):
        raise UnreadableAnswer("the judge answered with no number")
    return logit(share)


def _loaded(source: JudgeSource, kind: str) -> tuple[Any, Any]:
    torch_compat.complete_torchvision()
    import transformers
    from safetensors import SafetensorError

    kept: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        words = transformers.AutoTokenizer.from_pretrained(str(source.folder), **kept)
        model = whole_model(getattr(transformers, kind), source, **kept)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        why = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ModelUnusable(
            f"the judge {source.folder.name} cannot be loaded ({why}); fetch it again"
        ) from None
    return words, model.eval()

"""From an order and its pictures to what the registry writes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.optouts.fitting import Fit
from pipeline.optouts.looking import Eyes, look
from pipeline.optouts.naming import Named, NameTold
from pipeline.optouts.order import OptOutOrder
from pipeline.pictures.types import ReadPicture
from registry.subject_types import OptOutDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A draft, sentences about pictures that were left out of it or quarantined, and what its names do."""

    draft: OptOutDraft
    notes: tuple[str, ...]
    names: tuple[NameTold, ...]

    def fitted(self, fit: Fit) -> "Prepared":
        """The draft as it fits (`Fit.applied`), with sentences about that. Raises: as `Fit.demand`."""
        return replace(self, draft=fit.applied(self.draft), notes=(*self.notes, *fit.notes()))


def prepare(
    order: OptOutOrder, names: Named, shown: Sequence[ReadPicture],
    not_meant: Sequence[ReadPicture], eyes: Eyes,
) -> Prepared:  # fmt: skip
    """Look at everything and draft the opt-out. Raises: PictureRefused, ModelUnusable."""
    looked = look(order, shown, not_meant, eyes)
    draft = OptOutDraft(
        kind=order.kind, name=order.name, owner=order.owner, names=names.names, description=order.description,
        attributes=order.attributes, exclusions=order.exclusions, context=order.context, mode=order.mode,
        references=looked.references, vectors=looked.vectors, work=order.work, died_on=order.died_on,
    )  # fmt: skip
    return Prepared(draft=draft, notes=looked.notes, names=names.told)

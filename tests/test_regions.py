"""The partition by hand: who keeps a pixel that several regions claim."""

import numpy as np

from auditor.regions import RegionRoles, partition


def mask(*rows: str) -> np.ndarray:
    return np.array([[letter == "x" for letter in row] for row in rows])


MASKS = {
    "garment": mask("xx..", "xx.."),
    "face": mask(".xx.", "...."),
    "hair": mask("..xx", "...."),
    "tree": mask("....", "xxxx"),  # has no role
}


def named(atoms: np.ndarray, roles: RegionRoles) -> list[str]:
    letters = {name: name[0] for name in roles.names} | {"unannotated": "."}
    return ["".join(letters[roles.names[code]] for code in row) for row in atoms]


def test_cues_keep_pixels_and_the_first_listed_among_them():
    roles = RegionRoles(subject=("garment",), cues=("face", "hair"))
    assert roles.names == ("subject", "face", "hair", "unannotated", "padding")
    assert named(partition(MASKS, roles, "doctor", (2, 4)), roles) == ["sffh", "ss.."]


def test_the_order_of_cues_decides():
    roles = RegionRoles(subject=("garment",), cues=("hair", "face"))
    assert named(partition(MASKS, roles, "doctor", (2, 4)), roles) == ["sfhh", "ss.."]


def test_the_subject_can_take_precedence():
    roles = RegionRoles(subject=("garment",), cues=("face", "hair"), precedence="subject")
    assert named(partition(MASKS, roles, "doctor", (2, 4)), roles) == ["ssfh", "ss.."]


def test_the_subject_can_differ_by_label():
    roles = RegionRoles(
        cues=("hair",), subject_by_label={"a": ("garment",), "b": ("face", "garment")}
    )
    assert named(partition(MASKS, roles, "a", (2, 4)), roles) == ["sshh", "ss.."]
    assert named(partition(MASKS, roles, "b", (2, 4)), roles) == ["sshh", "ss.."]
    assert named(partition(MASKS, roles, "c", (2, 4)), roles) == ["..hh", "...."]
    assert roles.subject_names == {"garment", "face"}
    assert roles.named == {"garment", "face", "hair"}
    assert roles.judged("a") == {"garment", "hair"}
    assert roles.judged("c") == {"hair"}


def test_a_declared_background_is_the_rest_even_as_a_cue():
    roles = RegionRoles(subject=("garment",), cues=("background", "face"), rest="background")
    assert roles.names == ("subject", "face", "background", "padding")
    assert roles.named == {"garment", "face"}
    assert roles.judged("any") == {"garment", "face"}
    assert named(partition(MASKS, roles, "any", (2, 4)), roles) == ["sffb", "ssbb"]


def test_without_masks_everything_is_the_rest():
    roles = RegionRoles(subject=("garment",))
    assert named(partition({}, roles, "any", (2, 3)), roles) == ["...", "..."]


def test_masks_are_left_as_they_were():
    before = {name: m.copy() for name, m in MASKS.items()}
    partition(MASKS, RegionRoles(subject=("garment",), cues=("face",)), "any", (2, 4))
    assert all(np.array_equal(MASKS[name], before[name]) for name in MASKS)

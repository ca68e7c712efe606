"""What the segment is called: label and codes, which a site can set.

Source: DICOM PS3.3 C.8.20.4 (Segment Description macro); PS3.16 CID 7150 and 7159 for the default codes.
"""

from __future__ import annotations

from dataclasses import dataclass

from brainseg_runtime.errors import ArgumentError


def _check_text(what: str, text: str, longest: int) -> None:
    """Raise unless a text fits into a DICOM string of one value."""
    if (
        not 1 <= len(text) <= longest
        or text != text.strip()
        or not text.isascii()
        or not text.isprintable()
        or "\\" in text
    ):
        raise ArgumentError(
            f"{what} is wrong",
            expected=f"1 to {longest} printable ASCII characters, without backslash or blanks at the ends",
            got=repr(text),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """A coded term.

    Attributes:
        value: Such as "49755003"; 1 to 16 characters.
        scheme: Coding scheme designator, such as "SCT" (SNOMED CT) or "DCM"; 1 to 16 characters.
        meaning: In words; 1 to 64 characters.

    Examples:
        >>> Code.parse("52988006,SCT,Lesion")
        Code(value='52988006', scheme='SCT', meaning='Lesion')
    """

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        for name, text, longest in (
            ("value", self.value, 16),
            ("scheme", self.scheme, 16),
            ("meaning", self.meaning, 64),
        ):
            _check_text(f"the code's {name}", text, longest)

    @classmethod
    def parse(cls, text: str) -> Code:
        """A code from "VALUE,SCHEME,MEANING".

        Raises:
            ArgumentError: There are not three parts, or one of them is empty or too long.
        """
        parts = [part.strip() for part in text.split(",", 2)]
        if len(parts) != 3:
            raise ArgumentError(
                "a code is incomplete", expected="VALUE,SCHEME,MEANING, such as 52988006,SCT,Lesion", got=repr(text)
            )
        return cls(value=parts[0], scheme=parts[1], meaning=parts[2])


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentSettings:
    """How the marked voxels are described in what is written.

    Attributes:
        label: Segment label, region name and tracking identifier; 1 to 64 ASCII characters.
        category: Segmented property category.
        type: Segmented property type.
        colour: Red, green, blue, 0 to 255, recommended to viewers and used in pictures.

    Examples:
        >>> SegmentSettings(label="Tumour").category.meaning
        'Morphologically Altered Structure'
    """

    label: str = "FLAIR abnormality"
    category: Code = Code(value="49755003", scheme="SCT", meaning="Morphologically Altered Structure")
    type: Code = Code(value="52988006", scheme="SCT", meaning="Lesion")
    colour: tuple[int, int, int] = (255, 138, 48)

    def __post_init__(self) -> None:
        _check_text("the segment's label", self.label, 64)
        if not all(0 <= each <= 255 for each in self.colour):
            raise ArgumentError("the segment's colour is wrong", expected="three numbers, 0 to 255", got=self.colour)

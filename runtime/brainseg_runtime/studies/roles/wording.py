"""What a series' description says, in English, German, French and Spanish: its kind, its contrast, why to leave it out.

Descriptions are typed by hand and differ from site to site, so the tags decide first (`sequences`); words fill in
what the tags leave open. Words are looked for in lower case, without accents, with blanks for punctuation.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

Contrast = Literal["pre", "post"]
"""T1 before or after a contrast agent was given."""


def _any(*patterns: str) -> re.Pattern[str]:
    """One pattern that finds any of several."""
    return re.compile("|".join(patterns))


# fmt: off
_LEFT_OUT: Final = {
    "a localiser": _any(
        r"locali[sz]\w*", r"localis\w+", r"lokali\w*", r"\bloc\b", r"\w*scout\w*", "survey", r"topogram\w*",
        r"scanogram\w*", r"\b3 ?(pl\b|plane)", "reperage", "smartbrain", "plan ?scan", r"ubersicht\w*",
    ),
    "a calibration": _any(
        r"\bcal\b", r"calibra\w*", r"\b(asset|arc|sense|coil|pat) ?(cal|ref)\w*", "ref ?scan", r"\bshim\w*",
        "prescan", r"field ?map\w*", r"\bb[01] ?map\w*",
    ),
    "diffusion": _any(
        r"\bdwi\w*", r"\w*dti\b", r"\w*diff?u[sz]i?\w*", r"\bdiff\b", r"\badc\b", r"\beadc\b", "apparent",
        r"\btrace\w*", "tensor", r"\bcolfa\b", "fractional", "isotropic image", r"\bivim\b", r"\bdki\b",
        r"\bnoddi\b", r"\bb ?\d{3,4}s?\b", "ep2d", r"\bhardi\b", r"\bresolve\b",
    ),
    "susceptibility": _any(
        r"\w*swi\b", r"\bswi\w*", r"\bswan\b", r"\bven ?bold\b", "t2 ?(star|stern)", r"t2 ?\*", r"\bhemo\w*",
        r"\bhaem\w*", r"\bfsbb\b", r"\bbsi\b", r"\bqsm\b", r"\bmerge\b", r"\bmedic\b", "mag images", "pha images",
        r"\bphase images?", r"\bfiltered phase", r"\bswip\b",
    ),
    "perfusion": _any(
        r"perf\w*", r"\bdsc\b", r"\bdce\b", r"\w*asl\b", r"\br?cb[fv]\b", r"\bmtt\b", r"\bttp\b", r"\btmax\b",
        r"\btwist\b", r"\btricks\b", r"dynami\w*", r"\bdyn\w*", r"\bpbp\b", r"\bgbp\b", "wash ?(in|out)",
        r"\bktrans\b", "first pass",
    ),
    "angiography": _any(
        r"\btof\b", r"\w*\bmra\b", r"\bmrv\b", r"angio\w*", r"venogra\w*", r"flebo\w*", r"phlebo\w*",
        "phase contrast", r"\binhance\b", "q ?flow", "circle of willis", r"\bcow\b", r"\bwillis\b", "vessel wall",
        r"\bvwi?\b", r"gefass\w*",
    ),
    "functional": _any(
        r"\bbold\b", r"\bfmri\b", "resting", r"\brest\b", r"\bepi\b", r"\bmotor\b",
    ),
    "spectroscopy": _any(
        r"spe[ck]tr\w*", r"\bsvs\b", r"\bcsi\b", r"\bmrs\b", r"\bpress\b",
    ),
    "a subtraction": _any(
        r"\bsubs?\b", r"subtr\w*", r"\bsoustr\w*", r"sustr\w*", r"substr\w*", r"\bresta\b", r"differenz\w*",
    ),
    "a projection": _any(
        r"\b\w?mip\b", "minip", "min ip", "projection", "proyeccion",
    ),
    "a map or a calculated image": _any(
        r"\bt[12] ?maps?\b", r"\bmaps?\b", "mapping", r"kart\w*", r"relax\w*", r"\bmagic\b", r"synthe\w*",
        r"\bsyn ?(t[12]|flair)", r"\bsy ?mri\b", r"\br2 ?star\b", r"\bt1 ?rho\b", r"\buni\b", r"\binv ?[12]\b",
    ),
    "a reformat": _any(
        r"reformat\w*", r"\brfmt\b", "multiplanar", r"\bmpr range\b", r"rekonstr\w*", r"reconstru\w*",
    ),
    "an image of fat or of opposed phases": _any(
        r"^fat ", r"\bfat (only|image|fraction|frac)\w*", r"\b(opp\w*|out)( ?of)? ?phase\w*", r"\bgegenphase\w*",
        r"dixon\b.* (f|fat|op|opp|out|ff|fp)$", r"\bflex\b.* (f|fat|op|opp|out)$",
    ),
    "a picture or a report": _any(
        r"screen ?\w*", "snap ?shot", "capture", r"reports?\b", r"phoenix\w*", "protocol page", "dose report",
        "fused", "fusion", r"\bcolou?r\w*", "overlay", "segmentation", "key ?images?", "evidence",
        "presentation state",
    ),
    "not of the whole brain": _any(
        r"pituit\w*", r"hypophy\w*", r"hipofis\w*", r"\bsell\w*",
        r"(?<!brain )\borbit(s|a|as|al|en)?\b", r"(?<!brain )\biacs?\b",
        r"\bcai\b", r"acousti\w*", r"\bcpa\b", r"\btmj\b", "spine", r"spinal\w*", r"cervi\w*", r"thora\w*",
        r"lumb\w*", r"\b[hbl]ws\b", "rachis", "columna", r"medul\w*", r"\bneck\b", r"\bhals\b", r"\bcou\b", "cuello",
        r"caroti\w*", r"wirbel\w*", r"nasen?\w*", r"sinus(es)?\b",
    ),
    "an inversion recovery that is not FLAIR": _any(
        r"\bstir\b", r"\bdir\b", r"double ?(ir\b|inver\w*)", r"\bpsir\b", "fgatir",
    ),
    "a strongly T2-weighted sequence": _any(
        r"\bciss\w*", r"\bfiesta\w*", r"\bb ?t?ffe\b", r"balance\w*", "true ?fisp", "csf flow", "cine",
    ),
}
_FLAIR: Final = _any(
    "flair", "dark ?fl", "fluid atten", "spc ?ir", r"\bda ?fl\b", r"\btirm\w* (\w+ )*dark", "liquor ?supp",
    "fluid ?supp",
)
_T1: Final = _any(
    r"t1(?!\d)", "mp ?2?rage", r"\bbravo\b", r"\w*spgr\b", r"\btfl ?3d", r"\btfe\b", r"\b3d ?tfe", r"\bvibe\b",
    r"\blava\b", r"\brssg\b", r"\btigre\b", "t1 ?fast", r"\bvista t1",
)
_T2: Final = _any(
    r"t2(?!\d)", r"\bpd\w?\b", "proton", "densidad", "densite", r"\bdp\b",
)
_FAT: Final = _any(
    r"\bfs\b", r"\wfs\b", r"fat ?s\w*", "fatsat", "satfat", r"\bspai?r\b", r"spir\b", r"\bfett\w*", r"\bfsat\b",
    r"\bdixon\b", r"sat\w* (de )?(la )?gra\w+", r"sup\w* gras\w+", r"water exc\w*", r"wasseran\w*",
)
_NOT_CONTRAST: Final = _any(
    r"\b(post|pre) ?(op|rt|xrt|surg\w*|chemo\w*|rad\w*|proc\w*|treat\w*|biops\w*|resec\w*|interv\w*)\b",
    "(high|low|good) contrast", r"\bprep\w*", r"\bpre ?sat\w*", r"\bposterior\w*",
    r"\bpost fossa", r"\bac ?pc\b",
)
_BOTH: Final = _any(
    "with and without", "without and with", "with without", r"\bw (and )?w ?o\b", r"\bwo (and )?w\b", r"\bwwo\b",
    "mit (und )?ohne", "ohne (und )?mit", "avec (et )?sans", "sans (et )?avec", "con (y )?sin", r"sin (y )?con\b",
    r"\bpre (and |und |et |y )?post\b",
)
_PART_NAMES: Final = (
    r"gd|gad|gado|gadolin\w*|gadob\w*|gadot\w*|gadav\w*|gadov\w*|dotarem|magnevist|multihance|prohance|omniscan|"
    r"clariscan|vueway|elucirem|km|kontrast\w*|contrast\w*|cont|cte|civ|inj\w*|i ?v|mdc|pdc|ce|enhanc\w*"
)
"""A contrast agent, by what it is called."""

_NEGATION: Final = (
    r"o|ohne|w o|wo|without|not?|non|sans|ss|s|sin|sem|senza|sine|zonder|uten|utan|bez|(?<!i )v|vor|avant|antes|prima|"
    r"before|pre|minus|0"
)
_NO_SUPPRESSION: Final = _any(
    rf"\b({_NEGATION}) (the )?(fs|wfs|f s|fats?\w*|sat\w*|spai?r|spir|fett\w*|fsat|supp?\w*|gras\w*|dixon|mtc?|"
    r"angle|flow\w*|fc|gap|grappa|sense|motion|mov\w*|sed\w*|anes\w*|prop\w*|blade|iso|nav\w*)\b",
)
"""Something other than contrast that a series was made without."""

_NEGATED: Final = _any(
    rf"\b({_NEGATION}) ((de|du|del|la|le|of|any|medio|agent|i ?v) )*({_PART_NAMES})\b( ({_PART_NAMES})\b| de\b)*",
    r"\b(o|ohne|vor|v)km\b", r"\b(wo|no|non|pre|sin|sans)(gd|gad\w*|contr\w*|con|inj\w*|enhanc\w*|civ|cte)\b",
    r"\bnon? con\b", rf"\b({_PART_NAMES}) (neg\w*|free|minus)\b",
)
"""A contrast agent that was not given, or not yet."""

_BEFORE: Final = _any(
    r"\bpre\w*", r"\bw o\b", r"\bwo\b", "without", r"\bohne\b", r"\bnati[fv]\w*", r"\bnat\b", r"\bsans\b",
    r"\bsin\b", r"\bs c\b", r"\bnc\b", r"\bplain\b", r"\bunenh\w*", r"\bvor\b", r"\bavant\b", r"\bantes\b",
    r"\bbasal\b", r"\bvorkontrast\w*",
)
_AFTER: Final = _any(
    rf"\b({_PART_NAMES})\b", r"\bpost\w*", r"\bt1 ?(c|ce|gd|km)\b", r"t1w? ?ce\b", r"\bgd\w*", r"\bw (gd|c|con)\b",
    r"\bc c\b", r"\b(m|n|mit|nach)km\b", r"\bnach\b", r"\bapres\b", r"\bdespues\b", r"\bafter\b",
    r"\bnachkontrast\w*", r"\bt1gad\w*", r"\bt1inj\w*", r"\bgad\w*", r"\bdelayed\b",
)
_SIGNED: Final = r"(?:c|ce|gd|gad|gado|km|inj|iv|civ|cte|mdc|contrast\w*|dotarem)"
_PLUS: Final = _any(
    rf"(?<![a-z0-9]){_SIGNED}\s*\(?\+", rf"\(?\+\)?\s*(?:{_SIGNED}|k)(?![a-df-z])",
    r"(?<!\d)(?<!sat)(?<!fs)\s*\(?\+\)?\s*$", r"\bt1w?\s*\(?\+\)?\s*$",
)
_MINUS: Final = _any(
    rf"(?<![a-z0-9]){_SIGNED}\s*\(?-\)?\s*$", rf"(?<![a-z0-9]){_SIGNED}(-(?=\s)|\s?\(-\))",
    rf"(?<=[\s(_])-{_SIGNED}(?![a-z])",
)
_EITHER: Final = _any(r"\+\s*/?\s*-", r"-\s*/\s*\+", rf"{_SIGNED}\s*-\s*[/,&]?\s*{_SIGNED}\s*\+", "±")
_SUBJECT: Final = re.compile(r"\b(sub|ses|run|acq|rec|task|dir|echo|part)-[A-Za-z0-9]+_?")
# fmt: on


def plain(text: str) -> str:
    """A description in lower case, without accents; letters, digits and "*" stay, all else becomes one blank.

    Examples:
        >>> plain("T2_TIRM_tra_Dark-Fluid")
        't2 tirm tra dark fluid'
    """
    return " ".join(re.sub(r"[^a-z0-9*]+", " ", _lower(text)).split())


def why_left_out(text: str) -> str | None:
    """What a description names that is never one of the three sequences, such as "diffusion"; None if nothing."""
    words = plain(text)
    for what, pattern in _LEFT_OUT.items():
        found = pattern.search(words)
        if found is not None:
            return f'{what} by its description ("{found.group().strip()}")'
    return None


def names_flair(text: str) -> bool:
    """Whether a description names FLAIR, under any of its makers' names."""
    return _FLAIR.search(plain(text)) is not None


def names_t1(text: str) -> bool:
    """Whether a description names T1 weighting or a sequence that is always T1-weighted."""
    return _T1.search(plain(text)) is not None


def names_t2(text: str) -> bool:
    """Whether a description names T2 or proton-density weighting."""
    return _T2.search(plain(text)) is not None


def names_fat_suppression(text: str) -> bool:
    """Whether a description names fat suppression."""
    return _FAT.search(plain(text)) is not None


def names_reformat(text: str) -> bool:
    """Whether a description names a multiplanar reformat; "t1_mpr" is an acquisition, Siemens' name for MPRAGE."""
    words = plain(text)
    return re.search(r"\bmpr\b", words) is not None and re.search(r"\bt1\w* (3d )?mpr\b", words) is None


def contrast_named(text: str) -> Contrast | None:
    """What a description says of a contrast agent: "pre", "post", or None if nothing or both.

    A negation takes with it the agent that it negates: "sin contraste", "ohne KM", "pre gado"; what was left out other
    than an agent, as in "post w/o FS", says nothing, and neither do words on surgery and other treatment, such as
    "post-op". Where something is left that speaks for either, nothing is named.

    Examples:
        >>> [contrast_named(text) for text in ("T1 tra nativ", "AX T1 +C", "T1 SE post-op")]
        ['pre', 'post', None]
    """
    lowered = _lower(text)
    words = _NOT_CONTRAST.sub(" ", plain(text))
    if _BOTH.search(words) is not None or _EITHER.search(lowered) is not None:
        return None
    words = _NO_SUPPRESSION.sub(" ", words)
    rest, negated = _NEGATED.subn(" ", words)
    minus = _MINUS.search(lowered) is not None
    before = bool(negated) or minus or _BEFORE.search(rest) is not None
    after = _PLUS.search(lowered) is not None or (not minus and _AFTER.search(rest) is not None)
    if before == after:
        return None
    return "pre" if before else "post"


def _lower(text: str) -> str:
    """Lower case without accents and without BIDS's entities, whose labels are names, not words."""
    text = _SUBJECT.sub("", text)
    text = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(letter for letter in text if not unicodedata.combining(letter)).lower()

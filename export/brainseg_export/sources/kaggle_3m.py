"""Whether slices are those of the LGG MRI Segmentation data set (`kaggle_3m`), by their pixels.

For 94 of its 110 patients two slices each are known by the first eight bytes of the SHA-256 of their pixels
(`brainseg_train.data.slices.pixel_digest`). Names and the bytes of files do not count: renamed patients and rewritten
files are recognised, and a folder with the same names and other pixels is not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet

NAME: Final = "kaggle_3m"
LICENCE: Final = "CC-BY-NC-SA-4.0"
TERMS: Final = (
    "kaggle_3m (TCGA-LGG images of The Cancer Imaging Archive, masks by Buda et al. 2019), which third parties report "
    "as CC BY-NC-SA 4.0"
)
CITATION: Final = (
    "Buda et al., Association of genomic subtypes of lower-grade gliomas with shape features automatically extracted "
    "by a deep learning algorithm, Computers in Biology and Medicine, 2019"
)

PATIENTS: Final = 110
"""In the whole data set."""

UNKNOWN: Final = 16
"""How many of them have pixels that are not known here."""

_NAMED: Final = re.compile(r"TCGA_(?:CS|DU|EZ|FG|HT)_[0-9A-Z]+_[0-9]{8}")

_KNOWN: Final = """
    10b6a9ad5396c6b9 11bb0d1350259faf 0d00f1d0a17a2a66 12b0690b88c4085e 0cb62c36a679a7fa 238e8476618279a6
    017b7d653977bf96 0764a244e7f54d30 06168b0335b1c8d8 0880219ec5bdeb13 2f633f32f5047459 365e18d8c607d869
    084aafa78773ea40 42cc1d35cca2544a 06ff7797fffe76e0 1fbe8a38508634d7 06440d00ffc9d6e0 179bb90578c93a3e
    14a3bdccf3c3dee5 200f9eaa1eca3ac9 17009c32b6c136c3 1bce94607fbdda38 10c25d2c1fc57b28 1685bc6dfe12dfaa
    093fea03b1b5ff65 29f8fd74d0de5f11 0b8f1f2927779523 0e410cd7e13261ec 02ff675e8ed06441 036e9cdfecf57242
    0a50c63b00b95e5c 0b1106f8b7efb5a6 0cc387afa432d8a8 0eb4018f0fa8e795 0001bbbcb2ea505a 02a8c94fbd4ff9ca
    0916463e27993ab4 139567b55e794ac8 0a520536706cd1d1 1e6447647022ddd3 028a227e68883a6b 101c2bb66cb1cf92
    01bfe38541f1500a 08414f2618fd802e 0398b238984682f4 14e618f88f5f7fae 0343915ab3219706 038e2e81c067ed16
    0c845451ee1d8aad 0f9c139877125e4f 0425555fffdabf98 0706bb846517ad9f 0006f85e1a585b54 070b3439363d2e66
    01e066a587447f2f 0226f562ac5c010d 0dea28b2c4f57d6c 14e6297837ccefbb 021720a801fbb8d1 0243d840389ab3b3
    006a146f703e2080 04854b91b51d427d 036f2c6c36d454dc 11bcb07bdfa12394 001f2bfc9d42457c 0142574402e4c77b
    00a1182903d3ae19 0386642cdc58775e 03d353fdd675ad71 0936c644d43d4911 0d83e4fd4fe29cc5 165ddbe720b4a057
    07d75b641db21d90 23ca3c20f11e970b 03488b1b0d7f4906 06c917142b285662 0f8084f9839ee3c1 1a36a95996ed2909
    0095a0ed2057def3 00e29df301c6db7b 1f6423af0529997f 23134f1a34c2d620 02a550d3bee35345 050f1caf1a29eaf3
    02f6e18fc7698d1a 0c1f7bd49a105c80 0f31533e03714345 124a1922fd02b3a1 08410e651a5aafb8 096f784d47b7f76e
    04dde18464b7829d 119a4eb3b77ca030 15fc67eee1e8f1ea 1a56b50b46594f17 02be9d5ace91cbff 071f59d4e088b6c6
    0b139834972301c6 0cbf93b2144df513 04b831923a773aa9 0ba3967ea5f1241f 05df52ab0f7de79e 07feb649cdc9d123
    0353cea5fc7f0b16 0a1e456bcc94852a 2027890609de08f2 22fe52517a7baad6 012cee6aab73faba 03dbfbc0453c42e7
    07dc4e58fc2a153a 08e4614007523479 03791f4cfdf8fb49 090e00429da73a9f 019767ed28742f0c 02a6f30ea8d24da3
    0173f11c951a73fa 0a85b4981586ba4c 013c15b73a5509d4 0712b870393e6998 0fb19558c0f233cd 2295bacf2563c744
    0b241ef742ced036 11f994617202a186 0d0e4911de9fd8ee 161afc3ba5656ef7 015d4275032f8033 0c92d0dbdb389aae
    01dd7a07f26f1f0b 0ac87a487f48517c 00e2166ae7be6890 05b4ac7bc23833a6 01deb46760485102 081cac8dc2a5d5fc
    0f7674c00e6911b4 1e7b34bd180a7c3a 0ae4dcb0c83a66be 1daf2a1dfdc9c1bb 089ced238cecb576 1aad8e5ab279a456
    03cf02afd1601efd 05c1767279dbc9b4 0456a5d1a5ab49c3 0b64da53a93aef55 05b59b88d9c3231d 06ad1139d5950e7e
    0b9f177d0d6dcdfb 17aa213a11729ee2 1dda6c5c11d0bc78 20212f2dc479942c 0553787b9ebad6b0 08161a4be46a45b7
    1d3e6d764e05bcce 3375645dbcd025aa 0b11d7ac73cf69ae 0c4d2f21e8b8233d 03ed36ba1aa4119a 0653fce46a1986f1
    01dde08aa13d3f61 0a88336cc5ba5c1b 059cda6093279d7d 06f32c840922aa32 0351f54e4b69ca37 075c4dbd11d7fc97
    02278e16514f5914 1361395688cae9ab 0cecdefa5da83e8e 29f3461b7b3784b6 08f92b1e11b775e3 0e491a6eb8ef955e
    07f1614ce2d637ed 1c306b308edce652 03e6e508b9273ad4 1d3f19652578c0fe 11cc82a1d2c9b152 21408bdd52a75f62
    0c7d355201678bac 13ce5dd754af819d 13a0c390735e08c9 155c02e268f21047 036c1d3f3e044cd2 0c2a516f05269ed8
    02fe80f402e2577f 048ff627fe5b1953 05aea297a66a679c 18efaf8580b7b268 06ad46b79b2e5456 08587a49970e315f
    056ca760b71ff0c5 09290a6230c58a19
"""

_DIGESTS: Final = frozenset(_KNOWN.split())


def known_patients(dataset: DataSet) -> frozenset[str]:
    """Patients of a data set with at least one slice whose pixels are those of `kaggle_3m`."""
    heads = np.ascontiguousarray(dataset.image_digests[:, :8])
    rows = [row for row, head in enumerate(heads) if head.tobytes().hex() in _DIGESTS]
    return frozenset(dataset.patients[dataset.slices[row].patient].id for row in rows)


def is_the_set(dataset: DataSet) -> bool:
    """Whether a data set is `kaggle_3m`, or part of it, and nothing else.

    Most patients must be recognised by their pixels. Of the others there may be as many as are not known here, and they
    must have names as in `kaggle_3m`.
    """
    known = known_patients(dataset)
    others = [patient.id for patient in dataset.patients if patient.id not in known]
    return (
        len(dataset.patients) <= PATIENTS
        and len(others) <= min(UNKNOWN, len(known))
        and bool(known)
        and all(_NAMED.fullmatch(name) for name in others)
    )

/** Reasons to distrust images or a mask, in English, by code; {name} is one of the warning's values. */

import type { WarningCode } from "../../types";

export type WarningTexts = Readonly<Record<WarningCode, string>>;

/** Said after the words of a warning that holds for some of the slices. */
export const someSlices = "In {slices} of {of} slices.";

export const warnings: WarningTexts = {
  "blank-slice": "Empty slice: all pixels have one value.",
  "constant-channel": "A channel is empty: {channel} has one value throughout.",
  "repeated-channel": "Two channels are the same picture: {a} and {b}.",
  "squeezed-slice": "The picture is far from square ({height} × {width}); the network sees it squeezed.",
  "intensity-mean": "Unusual brightness: the mean of {channel} is {got}, in the training data {low} to {high}.",
  "intensity-peak": "Unusual brightness: the brightest part of {channel} is {got}, in the training data {low} to {high}.",
  "jpeg-lossy": "The pictures are JPEG, which changes pixels; the mask can change with them.",
  "alpha-dropped": "The pictures have a transparency channel, which was left out.",
  "slices-left-out": "Thumbnails or further pages in the files were left out ({files}).",
  "missing-slices": "Slices are missing between those that are there: {numbers}.",
  "sequence-missing": "{role} is missing; FLAIR stands in its place, and the result is less reliable.",
  "series-faulty": "The series {series} cannot be used and was left out.",
  "no-orientation": "{series}: the file does not say where right and left are; what is shown as right is a guess.",
  "orientations-differ": "{series}: the file’s two orientations differ by {got} mm; check the sides.",
  "body-part": "The header names another part of the body than the head: {got}.",
  "images-expected": "{series}: the header says that there are {expected} images, and {got} are here.",
  "single-slice": "{series} has one slice; its height, {got} mm, is what the header states.",
  "inverted": "{series} is stored with low values bright, and was turned over.",
  "role-by-time": "{series} is taken for the {role} by its time alone; check it, or choose the series by hand.",
  "file-unread": "{count} DICOM files could not be read and were left out: {files}. Check that nothing of the study is missing.",
  "spacing-stated": "{series}: the header states {stated} mm between slices, their positions {got} mm.",
  "lossy-compression": "{series} was compressed with loss.",
  "duplicate-slices": "{series} held {count} slices twice; one of each was used.",
  "no-registration": "{series} was not registered onto FLAIR; only the positions in the headers were trusted.",
  "frame-of-reference": "{series} has another frame of reference than FLAIR; the patient may have moved between them.",
  "no-head": "No slice shows enough tissue to be checked.",
  "bright-background": "The air around the head is bright in {series} ({got%} of tissue); it may be inverted or shifted.",
  "empty-slices": "{empty} of {count} slices of {series} show nothing although slices on both sides do; check that its files are whole.",
  "sequence-order": "The sequences may be exchanged: {got} looks like {like}.",
  "fat-suppressed": "The scalp is dark on FLAIR ({got} of the brain), as after fat suppression; the network does not know such images.",
  "skull-stripped": "The skull seems to have been removed (edge {got} of the brain); the network was trained with whole heads.",
  "saturation": "Too bright: {got%} of the head is white in {series}; values may be clipped.",
  "field-of-view-small": "The head fills only {got%} of the picture (at least {least%} is usual).",
  "field-of-view-cut": "The head is cut off at the picture’s edge ({got%} of a side).",
  "no-axial-head": "This does not look like axial slices of a head ({longer}, {filled}).",
  "coverage": "{series} covers only {got%} of the head.",
  "alignment": "{series} and FLAIR do not lie on each other (overlap {got}).",
  "motion": "The head jumps between neighbouring slices (overlap {got}).",
  "size": "A head of {got} mm is unusual ({least} to {most} mm); check the pixel size.",
  "implausible-mask": "Implausibly much is marked: {share%}. Do not use the mask unchecked.",
  "scattered-mask": "The mask has {parts} parts (at most {most} are usual). Do not use it unchecked.",
  "mask-at-edge": "{share%} of the mask lies in scalp and skull. Do not use it unchecked.",
  "other-threshold": "The threshold {threshold} is not the model’s ({own}); the model card’s figures do not hold for it.",
};

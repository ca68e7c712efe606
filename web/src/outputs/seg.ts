// The mask as DICOM SEG: one binary segment, a frame for each slice of FLAIR, empty ones too.
//
// Readers then see FLAIR's whole grid, and a study without any finding is written in the same way.
// Source: DICOM PS3.3 A.51 (Segmentation IOD), C.8.20.2 to C.8.20.4, C.7.6.16 (functional groups).
import { Fault } from "../faults";
import type { DicomSource } from "../images/dicom/series";
import { position, type Triple } from "../studies/geometry";
import type { Opened, Segmented } from "../types";
import { type DataSet, dataset, decimal, encodeFile, newUid, type Vr } from "./dataset";
import type { StudySource } from "./source";

const SOP_CLASS = "1.2.840.10008.5.1.4.1.1.66.4";
/** The runtime's own implementation UID is for what the runtime writes; this one is the page's. */
const IMPLEMENTATION = { uid: "2.25.313207653437349176153286829331926434061", version: "BRAINSEG_PAGE" };
const LABEL = "FLAIR abnormality";
/** Orange in CIELab, as the runtime shows it. */
const COLOUR = [45828, 43506, 49552];
const PATTERNS: Partial<Record<Vr, RegExp>> = {
  DA: /^\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$/,
  TM: /^(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?$/,
  AS: /^\d{3}[DWMY]$/,
  DS: /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/,
  CS: /^[A-Z0-9 _]{1,16}$/,
};
const LONGEST: Partial<Record<Vr, number>> = { LO: 64, SH: 16, DS: 16, PN: 64 };
/** Attributes that are repeated, and whether they are there even if empty. */
const MODULES: readonly (readonly [tag: string, vr: Vr, required: boolean])[] = [
  ["00080005", "CS", false], ["00100010", "PN", true], ["00100020", "LO", true], ["00100030", "DA", true], ["00100040", "CS", true],
  ["00080020", "DA", true], ["00080030", "TM", true], ["00080090", "PN", true], ["00200010", "SH", true], ["00080050", "SH", true],
  ["00100021", "LO", false], ["00120062", "CS", false], ["00120063", "LO", false], ["00101010", "AS", false], ["00101020", "DS", false],
  ["00101030", "DS", false], ["00081030", "LO", false],
];

/**
 * The bytes of a DICOM segmentation beside the series that FLAIR came from.
 *
 * @throws Fault "output-kind": what was opened is no DICOM study.
 */
export function writeSeg(opened: Opened, segmented: Segmented, threshold: number = segmented.threshold): Blob {
  const { source } = opened;
  if (source.kind !== "study" || source.dicom === undefined) throw new Fault("output-kind", { expected: "DICOM", got: opened.kind });
  const data = segmentation(source, source.dicom, segmented, threshold, new Date());
  return new Blob([encodeFile(data, IMPLEMENTATION)], { type: "application/dicom" });
}

function segmentation(source: StudySource, dicom: DicomSource, segmented: Segmented, threshold: number, now: Date): DataSet {
  const [count, rows, columns] = source.grid.shape;
  const { name, version, digest } = segmented.model;
  const model = `brainseg ${name} ${version}`.slice(0, 64);
  const codes = [...new Set([...segmented.warnings.map(({ code }) => code), ...(threshold === segmented.threshold ? [] : ["other-threshold"])])];
  const [date, time] = stamps(now);
  const organisation = newUid();
  const parameters = `bundle sha256:${digest}; ${segmented.variant}; threshold ${threshold}; research only, not a medical device`;
  const description = `${codes.length > 0 ? `Warnings: ${codes.join(", ")}; ` : ""}${model}; ${parameters}`.slice(0, 1024);
  return new Map([
    ...modules(dicom),
    ...dataset([
      ["00080008", "CS", ["DERIVED", "PRIMARY"]], ["00080012", "DA", date], ["00080013", "TM", time], ["00080016", "UI", SOP_CLASS],
      ["00080018", "UI", newUid()], ["00080021", "DA", date], ["00080023", "DA", date], ["00080031", "TM", time], ["00080033", "TM", time],
      ["00080060", "CS", "SEG"], ["00080070", "LO", "brainseg"], ["0008103E", "LO", `${LABEL} SEG${codes.length > 0 ? " - WARNING" : ""}`],
      ["00081090", "LO", model], ["00081115", "SQ", [referencedSeries(dicom)]], ["00181000", "LO", digest],
      ["00181020", "LO", `page; ${name} ${version}`.slice(0, 64)], ["0020000D", "UI", dicom.studyUid], ["0020000E", "UI", newUid()],
      ["00200011", "IS", dicom.seriesNumber > 0 && dicom.seriesNumber < 2e7 ? dicom.seriesNumber * 100 + 1 : 9901], ["00200013", "IS", 1],
      ["00200052", "UI", dicom.frameOfReference === "" ? newUid() : dicom.frameOfReference], ["00201040", "LO", ""],
      ["00209221", "SQ", [dataset([["00209164", "UI", organisation]])]],
      ["00209222", "SQ", [
        dimension(organisation, "0062000B", "0062000A", "Segment number"), dimension(organisation, "00200032", "00209113", "Position of the slice"),
      ]],
      ["00280002", "US", 1], ["00280004", "CS", "MONOCHROME2"], ["00280008", "IS", count], ["00280010", "US", rows], ["00280011", "US", columns],
      ["00280100", "US", 1], ["00280101", "US", 1], ["00280102", "US", 0], ["00280103", "US", 0], ["00280301", "CS", "NO"],
      ["00282110", "CS", dicom.lossy ? "01" : "00"], ["00620001", "CS", "BINARY"], ["00620002", "SQ", [segment(model, name, version, parameters, description)]],
      ["00620013", "CS", "NO"], ["00700080", "CS", "SEGMENTATION"], ["00700081", "LO", `${model.slice(0, 40)}; research only`.slice(0, 64)],
      ["00700084", "PN", "brainseg^"], ["52009229", "SQ", [shared(source)]],
      ["52009230", "SQ", dicom.instances.map((instance, k) => frame(source, instance, k))],
      ["7FE00010", "OB", packed(segmented.sourceMask(threshold))],
    ]),
  ]);
}

/** Patient and study attributes; a value that breaks its representation is left empty, or out where it may be. */
function modules(dicom: DicomSource): DataSet {
  const found: DataSet = new Map();
  for (const [tag, vr, required] of MODULES) {
    const stored = (dicom.modules.get(tag) ?? "").slice(0, LONGEST[vr] ?? 64);
    const pattern = tag === "00080005" ? /^[A-Z0-9 _\\]*$/ : PATTERNS[vr];
    const value = pattern === undefined || stored === "" || pattern.test(stored) ? stored : "";
    if (value !== "" || required) found.set(tag, [vr, value]);
  }
  if (found.get("00120062")?.[1] === "YES" && !found.has("00120063")) found.set("00120063", ["LO", "Not stated in the source"]);
  return found;
}

function stamps(now: Date): [string, string] {
  const two = (value: number): string => String(value).padStart(2, "0");
  return [
    `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`, `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`,
  ];
}

function code(value: string, scheme: string, meaning: string): DataSet {
  return dataset([["00080100", "SH", value], ["00080102", "SH", scheme], ["00080104", "LO", meaning]]);
}

function segment(model: string, name: string, version: string, parameters: string, description: string): DataSet {
  return dataset([
    ["00082218", "SQ", [code("12738006", "SCT", "Brain")]], ["00620003", "SQ", [code("49755003", "SCT", "Morphologically Altered Structure")]],
    ["00620004", "US", 1], ["00620005", "LO", LABEL], ["00620006", "ST", description],
    ["00620007", "SQ", [dataset([
      ["0066002F", "SQ", [code("123109", "DCM", "Artificial Intelligence")]], ["00660031", "LO", version.slice(0, 64)],
      ["00660032", "LT", parameters], ["00660036", "LO", name.slice(0, 64)],
    ])]],
    ["00620008", "CS", "AUTOMATIC"], ["00620009", "LO", model], ["0062000D", "US", COLOUR], ["0062000F", "SQ", [code("52988006", "SCT", "Lesion")]],
    ["00620020", "UT", LABEL], ["00620021", "UI", newUid()],
  ]);
}

function dimension(organisation: string, attribute: string, group: string, label: string): DataSet {
  return dataset([["00209164", "UI", organisation], ["00209165", "AT", attribute], ["00209167", "AT", group], ["00209421", "LO", label]]);
}

/** What all frames have in common: orientation and spacing. */
function shared({ grid }: StudySource): DataSet {
  const [slices, rows, columns] = grid.spacing.map(decimal) as [string, string, string];
  const orientation = [...grid.directions[2], ...grid.directions[1]].map(decimal);
  return dataset([
    ["00209116", "SQ", [dataset([["00200037", "DS", orientation]])]],
    ["00289110", "SQ", [dataset([["00180050", "DS", slices], ["00180088", "DS", slices], ["00280030", "DS", [rows, columns]]])]],
  ]);
}

type Instance = DicomSource["instances"][number];

/** Functional groups of slice k, with its source image. */
function frame({ grid }: StudySource, instance: Instance, k: number): DataSet {
  const place = position(grid, [k, 0, 0] satisfies Triple).map(decimal);
  const image = new Map([
    ...reference(instance),
    ...dataset([
      ...(instance.frame === undefined ? [] : [["00081160", "IS", instance.frame] as const]),
      ["0028135A", "CS", "YES"], ["0040A170", "SQ", [code("121322", "DCM", "Source image for image processing operation")]],
    ]),
  ]);
  return dataset([
    ["00089124", "SQ", [dataset([["00082112", "SQ", [image]], ["00089215", "SQ", [code("113076", "DCM", "Segmentation")]]])]],
    ["00209111", "SQ", [dataset([["00209157", "UL", [1, k + 1]]])]], ["00209113", "SQ", [dataset([["00200032", "DS", place]])]],
    ["0062000A", "SQ", [dataset([["0062000B", "US", 1]])]],
  ]);
}

function reference({ sopClass, sopUid }: Instance): DataSet {
  return dataset([["00081150", "UI", sopClass], ["00081155", "UI", sopUid]]);
}

function referencedSeries(dicom: DicomSource): DataSet {
  const objects = new Map(dicom.instances.map((instance) => [instance.sopUid, instance]));
  return dataset([["0008114A", "SQ", [...objects.values()].map(reference)], ["0020000E", "UI", dicom.seriesUid]]);
}

/** A bit for each voxel, the first in the lowest. */
function packed(mask: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(mask.length / 8));
  for (let at = 0; at < mask.length; at += 1) if (mask[at] === 1) bits[at >> 3] = (bits[at >> 3] as number) | (1 << (at & 7));
  return bits;
}

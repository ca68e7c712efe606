// What is known of one series before its pixels are read: header, grid, and where its pixels come from.
import type { DicomSource } from "../images/dicom/series";
import type { NiftiFields } from "../images/nifti/fields";
import type { SeriesFound, Warning } from "../types";
import { Fault } from "../faults";
import type { Role } from "../outputs/source";
import type { Grid, Volume } from "./geometry";

/** How a series was acquired, as far as its header says; no patient's name or identifier is kept here. */
export interface SeriesHeader {
  readonly modality: string;
  /** SeriesDescription; for NIfTI the file's name. */
  readonly description: string;
  readonly protocol: string;
  readonly sequenceName: string;
  readonly scanningSequence: readonly string[];
  readonly sequenceVariant: readonly string[];
  readonly scanOptions: readonly string[];
  readonly imageType: readonly string[];
  readonly repetition?: number | undefined;
  readonly echo?: number | undefined;
  readonly inversion?: number | undefined;
  readonly agent: string;
  /** Seconds since midnight. */
  readonly acquired?: number | undefined;
  readonly number?: number | undefined;
  readonly bodyPart: string;
  readonly diffusion?: number | undefined;
  /** Whether the header says that something was lost; what compressed it then called the image derived. */
  readonly lossy: boolean;
}

export interface Series {
  /** SeriesInstanceUID, or the file's path. */
  readonly uid: string;
  /** As faults and warnings name it: a file's name, or a series' number. */
  readonly name: string;
  readonly header: SeriesHeader;
  /** undefined if the geometry is faulty; `fault` says how. */
  readonly grid?: Grid | undefined;
  readonly fault?: Fault | undefined;
  readonly frameOfReference: string;
  /** Slices; of a faulty series, as far as they can be counted. */
  readonly count: number;
  readonly warnings: readonly Warning[];
  readonly load: () => Promise<Volume>;
  readonly nifti?: NiftiFields;
  readonly dicom?: DicomSource;
}

/** Series that somebody chose, by their uid; "none" leaves a T1 out; what is left out is found by the rules. */
export type ByHand = Readonly<Partial<Record<Role, string>>>;

/** A fault of a study whose series are known, so that somebody can choose among them. */
export class StudyFault extends Fault {
  constructor(
    fault: Fault,
    readonly series: readonly SeriesFound[],
  ) {
    super(fault.code, fault.values, { cause: fault });
  }
}

export const NO_HEADER: SeriesHeader = {
  modality: "", description: "", protocol: "", sequenceName: "", scanningSequence: [], sequenceVariant: [], scanOptions: [], imageType: [],
  agent: "", bodyPart: "", lossy: false,
};

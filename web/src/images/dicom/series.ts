// What a DICOM segmentation refers to and repeats of the series that FLAIR came from.

export interface DicomSource {
  /** SOPClassUID and SOPInstanceUID, and the 1-based frame of a multi-frame object, by slice of FLAIR's grid. */
  readonly instances: readonly { readonly sopClass: string; readonly sopUid: string; readonly frame?: number }[];
  readonly studyUid: string;
  readonly seriesUid: string;
  readonly seriesNumber: number;
  readonly frameOfReference: string;
  /** Whether the images were compressed with loss. */
  readonly lossy: boolean;
  /** Patient and study attributes by tag, such as "00100020": a character for each byte, as they are stored. */
  readonly modules: ReadonlyMap<string, string>;
}

// Images opened in a worker of their own, so that the page stays quick, and what was read is let go at the end.
import { LIMITS } from "../bundle/limits";
import { Fault } from "../faults";
import { type ByHand, StudyFault } from "../studies/series";
import type { Opened } from "../types";
import { isHidden } from "./litter";
import type { Answer, Open } from "./messages";
import type { Given } from "./opening";

/**
 * Open what was given.
 *
 * @param files A picture, a patient's pictures, NIfTI files (with their JSON files), or DICOM files, with their paths.
 * @param byHand Which series of a study is what, by `SeriesFound.uid`; "none" leaves a T1 out.
 * @throws StudyFault: a study's series are known, and one can choose among them. Fault: what is wrong with which file.
 */
export async function openImages(files: readonly File[], byHand: ByHand = {}): Promise<Opened> {
  const asked: Open = { files: given(files), byHand };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "images" });
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Answer>) => { resolve(data); };
      worker.onerror = ({ message }) => { reject(new Fault("out-of-memory", { got: message || "the worker ended" })); };
      worker.postMessage(asked);
    });
    if (answer.kind === "opened") return answer.opened;
    if (answer.kind === "failed") throw new Error(answer.got);
    const fault = new Fault(answer.code, answer.values);
    throw answer.series === undefined ? fault : new StudyFault(fault, answer.series);
  } finally {
    worker.terminate();
  }
}

/** The files that are not hidden and no litter, with their paths, which a worker is not told by the browser. */
function given(files: readonly File[]): Given[] {
  if (files.length > LIMITS.files) throw new Fault("file-too-large", { file: "the folder", most: LIMITS.files, got: files.length });
  return files
    .map((file) => ({ file, path: file.webkitRelativePath === "" ? file.name : file.webkitRelativePath }))
    .filter(({ path }) => !isHidden(path.split("/").slice(-2).join("/")));
}

// A model in onnxruntime, made from the very bytes that were hashed.
import ort from 'onnxruntime-node'
import { Fault, shown } from './bundle.js'

export const VERSION = ort.env.versions.node ?? ort.env.versions.common
const TENSORS = ['image uint8 4', 'mask uint8 3', 'probability float32 3']

/** A session on a model's bytes, whose tensors were checked. */
export async function loadModel(data) {
  const session = await told(() => ort.InferenceSession.create(data, {
    executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3,
    // A model that names external files would have them read from the current folder.
    extra: { session: { model_external_initializers_file_folder_path: '/dev/null/none' } },
  }))
  const found = [...session.inputMetadata, ...session.outputMetadata].map(({ name, type, shape }) => `${name} ${type} ${shape?.length}`)
  if (String(found) !== String(TENSORS) || session.inputNames.length !== 1) throw new Fault('the model keeps another contract', shown(TENSORS), shown(found))
  return session
}

/** Mask and probability of (N, H, W, 3) uint8 pixels, slice by slice: a batch need not give the same bits. */
export async function run(session, pixels, n, height, width) {
  const area = height * width
  const mask = new Uint8Array(n * area)
  const probability = new Float32Array(n * area)
  for (let at = 0; at < n; at++) {
    const slice = pixels.subarray(at * area * 3, (at + 1) * area * 3)
    const answer = await told(() => session.run({ image: new ort.Tensor('uint8', slice, [1, height, width, 3]) }))
    for (const name of ['mask', 'probability']) {
      const { dims } = answer[name]
      if (String(dims) !== `1,${height},${width}`) throw new Fault(`the model's ${name} has another shape`, `1,${height},${width}`, String(dims))
    }
    mask.set(answer.mask.data, at * area)
    probability.set(answer.probability.data, at * area)
  }
  const wrong = mask.findIndex((each, at) => each > 1 || !(probability[at] >= 0 && probability[at] <= 1))
  if (wrong >= 0) throw new Fault("the model's answer is wrong", 'a mask of 0 and 1, probabilities in [0, 1]', `${mask[wrong]} and ${probability[wrong]}`)
  return { mask, probability }
}

async function told(work) {
  try {
    return await work()
  } catch (error) {
    throw new Fault('onnxruntime refuses the model or the image', 'a model of the contract', shown(error.message))
  }
}

import com.sun.jna.Function;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.LongByReference;
import com.sun.jna.ptr.PointerByReference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A session on a model's bytes, through onnxruntime's C API: the functions of the OrtApi table by their place in it, which
 * no release changes. Legend: N batch, H rows, W columns.
 */
final class Onnx {
    private static final int API_VERSION = 18;
    private static final int FLOAT = 1; // ONNXTensorElementDataType
    private static final int UINT8 = 2;

    /** Functions and their places in the table OrtApi of onnxruntime_c_api.h. */
    private enum Api {
        GET_ERROR_MESSAGE(2), CREATE_ENV(3), CREATE_SESSION_FROM_ARRAY(8), RUN(9), CREATE_SESSION_OPTIONS(10), SET_THREADS(24),
        INPUT_COUNT(30), OUTPUT_COUNT(31), INPUT_TYPE_INFO(33), OUTPUT_TYPE_INFO(34), INPUT_NAME(36), OUTPUT_NAME(37),
        CREATE_TENSOR_WITH_DATA(49), CAST_TYPE_INFO(55), GET_ELEMENT_TYPE(60), GET_DIMENSIONS_COUNT(61),
        CREATE_CPU_MEMORY_INFO(69), GET_DEFAULT_ALLOCATOR(78), RELEASE_STATUS(93), RELEASE_VALUE(96), ADD_CONFIG_ENTRY(130);

        final int place;

        Api(int place) {
            this.place = place;
        }
    }

    /** Libraries that stay open: JNA closes one to which nothing refers any more, whoever still calls its functions. */
    private static final Set<NativeLibrary> OPEN = ConcurrentHashMap.newKeySet();

    final String version;
    private final Pointer api;
    private final Pointer session;
    private final Pointer memory;

    /** Opens the library, then the model; the file is never opened again. */
    Onnx(String library, byte[] model) {
        Pointer base;
        try {
            // Official builds report to their maker by default.
            Function.getFunction("c", "setenv").invokeInt(new Object[] {"ORT_DISABLE_TELEMETRY", "1", 0});
            NativeLibrary opened = NativeLibrary.getInstance(library);
            OPEN.add(opened);
            base = opened.getFunction("OrtGetApiBase").invokePointer(new Object[0]);
        } catch (UnsatisfiedLinkError error) {
            throw new Fault("onnxruntime cannot be opened", "a library with OrtGetApiBase", library, "give its path with --library");
        }
        version = Function.getFunction(base.getPointer(Native.POINTER_SIZE)).invokeString(new Object[0], false);
        api = Function.getFunction(base.getPointer(0)).invokePointer(new Object[] {API_VERSION});
        if (api == null) {
            throw new Fault("onnxruntime is too old", "1." + API_VERSION + " or later", version, "name another with --library");
        }
        Pointer env = made(Api.CREATE_ENV, 4, "brainseg"); // 4: errors come as statuses, so log only fatal ones
        Pointer options = made(Api.CREATE_SESSION_OPTIONS);
        check(Api.SET_THREADS, options, 1);
        // A model that names external files would have them read from the current folder.
        check(Api.ADD_CONFIG_ENTRY, options, "session.model_external_initializers_file_folder_path", "/dev/null/none");
        session = made(Api.CREATE_SESSION_FROM_ARRAY, env, model, (long) model.length, options);
        memory = made(Api.CREATE_CPU_MEMORY_INFO, 0, 0);
        List<String> wanted = List.of("image 2/4", "mask 2/3", "probability 1/3"); // type/axes
        List<String> found = new ArrayList<>(declared(Api.INPUT_COUNT, Api.INPUT_NAME, Api.INPUT_TYPE_INFO));
        found.addAll(declared(Api.OUTPUT_COUNT, Api.OUTPUT_NAME, Api.OUTPUT_TYPE_INFO));
        if (!found.equals(wanted)) {
            throw new Fault("the model keeps another contract", wanted, found);
        }
    }

    /** Segments images of (N, H, W, 3) one by one, as a batch need not give the same bits, into masks and probabilities of (N, H, W). */
    void run(byte[] images, int count, int height, int width, byte[] masks, float[] probabilities) {
        int pixels = height * width;
        Memory[] data = {new Memory(3L * pixels), new Memory(pixels), new Memory(4L * pixels)};
        Pointer[] values = new Pointer[3];
        for (int k = 0; k < 3; k++) {
            long[] shape = {1, height, width, 3}; // its last length is the image's alone
            values[k] = made(Api.CREATE_TENSOR_WITH_DATA, memory, data[k], data[k].size(), shape, k == 0 ? 4L : 3L, k == 2 ? FLOAT : UINT8);
        }
        for (int n = 0; n < count; n++) {
            data[0].write(0, images, 3 * n * pixels, 3 * pixels);
            // The outputs are given too, so onnxruntime writes into them, and refuses a result of another shape.
            check(Api.RUN, session, null, new String[] {"image"}, new Pointer[] {values[0]}, 1L,
                new String[] {"mask", "probability"}, 2L, new Pointer[] {values[1], values[2]});
            data[1].read(0, masks, n * pixels, pixels);
            data[2].read(0, probabilities, n * pixels, pixels);
        }
        for (Pointer value : values) {
            function(Api.RELEASE_VALUE).invokeVoid(new Object[] {value});
        }
        for (int k = 0; k < masks.length; k++) {
            if ((masks[k] & 0xff) > 1 || !(probabilities[k] >= 0 && probabilities[k] <= 1)) {
                throw new Fault("the model's answer is wrong", "a mask of 0 and 1, probabilities in [0, 1]", masks[k] + " and " + probabilities[k]);
            }
        }
    }

    /** Names, types and numbers of axes of the inputs, or of the outputs. */
    private List<String> declared(Api counter, Api name, Api type) {
        List<String> found = new ArrayList<>();
        Pointer allocator = made(Api.GET_DEFAULT_ALLOCATOR);
        for (long k = 0, count = count(counter, session); k < count; k++) {
            String label = made(name, session, k, allocator).getString(0);
            Pointer tensor = made(Api.CAST_TYPE_INFO, made(type, session, k));
            if (tensor == null) {
                throw new Fault("the model keeps another contract", "tensors alone", label);
            }
            IntByReference element = new IntByReference();
            check(Api.GET_ELEMENT_TYPE, tensor, element);
            found.add(label + " " + element.getValue() + "/" + count(Api.GET_DIMENSIONS_COUNT, tensor));
        }
        return found;
    }

    private long count(Api which, Pointer of) {
        LongByReference count = new LongByReference();
        check(which, of, count);
        return count.getValue();
    }

    /** What a function makes, which it returns through its last argument. */
    private Pointer made(Api which, Object... arguments) {
        PointerByReference made = new PointerByReference();
        Object[] all = Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = made;
        check(which, all);
        return made.getValue();
    }

    private void check(Api which, Object... arguments) {
        Pointer status = function(which).invokePointer(arguments);
        if (status != null) {
            String message = function(Api.GET_ERROR_MESSAGE).invokeString(new Object[] {status}, false);
            function(Api.RELEASE_STATUS).invokeVoid(new Object[] {status});
            throw new Fault("onnxruntime refuses the model or the image", "a model of the contract", message.lines().findFirst().orElse(""));
        }
    }

    private Function function(Api which) {
        return Function.getFunction(api.getPointer((long) which.place * Native.POINTER_SIZE));
    }
}

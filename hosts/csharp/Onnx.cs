// onnxruntime's C API, opened by path: the functions of the OrtApi table by their place in it, which no release changes.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;

/// <summary>All that is Linux's own; for another system, this class alone is replaced.</summary>
static class Native
{
    [DllImport("libdl.so.2")] static extern IntPtr dlopen(string path, int flags);
    [DllImport("libdl.so.2")] static extern IntPtr dlsym(IntPtr library, string name);
    [DllImport("libc")] static extern int statx(int folder, string path, int flags, uint mask, byte[] found);
    [DllImport("libc")] static extern IntPtr read(int file, byte[] data, UIntPtr count);
    [DllImport("libc")] static extern int setenv(string name, string value, int overwrite);
    [DllImport("libc")] static extern IntPtr realpath(string path, IntPtr made);
    [DllImport("libc")] static extern IntPtr readlink(string path, byte[] target, UIntPtr count);

    /// <summary>The address of a library's function, or zero.</summary>
    public static IntPtr Load(string library, string function)
    {
        setenv("ORT_DISABLE_TELEMETRY", "1", 0); // official builds report to their maker by default
        var opened = dlopen(library, 2); // RTLD_NOW
        return opened == IntPtr.Zero ? opened : dlsym(opened, function);
    }

    /// <summary>Whether a path leads to a regular file: opening a pipe as a stream would wait for ever.</summary>
    public static bool IsRegular(string path, bool followed = false)
    {
        var found = new byte[256]; // struct statx: stx_mode is at 28
        return statx(-100, path, followed ? 0 : 0x100, 1, found) == 0 && (found[29] & 0xF0) == 0x80; // AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFREG
    }

    /// <summary>The one path of a file in its folder, whichever links lead there; the file need not exist. mono drops `..` before it follows links.</summary>
    public static string Place(string path)
    {
        var end = path.LastIndexOf('/') + 1;
        var folder = Marshal.PtrToStringAnsi(realpath(end == 0 ? "." : path.Substring(0, end), IntPtr.Zero));
        return folder == null ? Path.GetFullPath(path) : Path.Combine(folder, path.Substring(end)); // a folder that is not there is told of when it is used
    }

    /// <summary>Whether standard output was closed: mono puts the null device there, and opens it for reading too.</summary>
    public static bool OutputIsClosed()
    {
        var target = new byte[10];
        return (int)readlink("/proc/self/fd/1", target, (UIntPtr)10) == 9 && target.SequenceEqual(System.Text.Encoding.ASCII.GetBytes("/dev/null\0")) && (int)read(1, target, (UIntPtr)1) == 0;
    }
}

/// <summary>A session on a model's bytes, whose tensors were checked. It lives as long as the process.</summary>
sealed class Onnx
{
    const int Float = 1, UInt8 = 2; // ONNXTensorElementDataType

    // Places in the table OrtApi of onnxruntime_c_api.h.
    const int GetErrorMessage = 2, CreateEnv = 3, CreateSessionFromArray = 8, RunSession = 9, CreateSessionOptions = 10,
        SetIntraOpNumThreads = 24, InputCount = 30, OutputCount = 31, InputTypeInfo = 33, OutputTypeInfo = 34,
        InputName = 36, OutputName = 37, CreateTensorWithData = 49, CastTypeInfoToTensorInfo = 55, GetElementType = 60,
        GetDimensionsCount = 61, CreateCpuMemoryInfo = 69, GetDefaultAllocator = 78, ReleaseStatus = 93, ReleaseValue = 96,
        AddConfigEntry = 130;

    delegate IntPtr GetBase();
    delegate IntPtr GetApi(uint version);
    delegate IntPtr Text(IntPtr status);
    delegate void Release(IntPtr thing);
    delegate IntPtr Make(out IntPtr made);
    delegate IntPtr MakeFrom(IntPtr of, out IntPtr made);
    delegate IntPtr Env(int level, string name, out IntPtr env);
    delegate IntPtr Threads(IntPtr options, int count);
    delegate IntPtr Config(IntPtr options, string key, string value);
    delegate IntPtr Open(IntPtr env, byte[] model, UIntPtr length, IntPtr options, out IntPtr session);
    delegate IntPtr TypeOf(IntPtr session, UIntPtr index, out IntPtr info);
    delegate IntPtr NameOf(IntPtr session, UIntPtr index, IntPtr allocator, out IntPtr name);
    delegate IntPtr Element(IntPtr tensor, out int type);
    delegate IntPtr Memory(int allocator, int type, out IntPtr info);
    delegate IntPtr Tensor(IntPtr memory, IntPtr data, UIntPtr bytes, long[] shape, UIntPtr rank, int type, out IntPtr value);
    delegate IntPtr Execute(IntPtr session, IntPtr options, string[] inputs, IntPtr[] given, UIntPtr inputCount,
        string[] outputs, UIntPtr outputCount, IntPtr[] made);

    public readonly string Version;
    readonly IntPtr api, session, memory;

    public Onnx(string library, byte[] model)
    {
        IntPtr env, options;
        var entry = Native.Load(library, "OrtGetApiBase");
        if (entry == IntPtr.Zero) throw new Fault("onnxruntime cannot be opened", "its shared library", library, "give its path with --library");
        var table = Marshal.GetDelegateForFunctionPointer<GetBase>(entry)();
        Version = Marshal.PtrToStringAnsi(Function<GetBase>(table, 1)());
        api = Function<GetApi>(table, 0)(18); // in releases since 1.18
        if (api == IntPtr.Zero) throw new Fault("onnxruntime is too old", "1.18 or later", Version, "name another with --library");
        Check(Call<Env>(CreateEnv)(4, "brainseg", out env)); // 4: errors come as statuses, so log only fatal ones
        Check(Call<Make>(CreateSessionOptions)(out options));
        Check(Call<Threads>(SetIntraOpNumThreads)(options, 1));
        // A model that names external files would have them read from the current folder.
        Check(Call<Config>(AddConfigEntry)(options, "session.model_external_initializers_file_folder_path", "/dev/null/none"));
        Check(Call<Open>(CreateSessionFromArray)(env, model, (UIntPtr)model.Length, options, out session));
        Check(Call<Memory>(CreateCpuMemoryInfo)(0, 0, out memory));
        const string wanted = "image 2/4, mask 2/3, probability 1/3"; // type/axes
        var found = string.Join(", ", Declared(InputCount, InputName, InputTypeInfo).Concat(Declared(OutputCount, OutputName, OutputTypeInfo)));
        if (found != wanted) throw new Fault("the model keeps another contract", wanted, Json.Write(found));
    }

    /// <summary>Segments one image, the `slice`-th of (N, H, W, 3), into the masks and probabilities of (N, H, W).</summary>
    public void Run(byte[] images, int slice, int height, int width, byte[] masks, float[] probabilities)
    {
        var arrays = new Array[] { images, masks, probabilities };
        var pins = arrays.Select(array => GCHandle.Alloc(array, GCHandleType.Pinned)).ToArray();
        var values = new IntPtr[3];
        var area = height * width;
        try
        {
            for (var k = 0; k < 3; k++)
            {
                var shape = new long[] { 1, height, width, 3 };
                var bytes = new[] { 3L, 1L, 4L }[k] * area; // the shape's last length is the image's alone
                var data = new IntPtr(pins[k].AddrOfPinnedObject().ToInt64() + slice * bytes);
                Check(Call<Tensor>(CreateTensorWithData)(memory, data, (UIntPtr)bytes, shape, (UIntPtr)(k == 0 ? 4 : 3), k == 2 ? Float : UInt8, out values[k]));
            }
            // The outputs are given too, so onnxruntime writes into them, and refuses a result of another shape.
            Check(Call<Execute>(RunSession)(session, IntPtr.Zero, new[] { "image" }, new[] { values[0] }, (UIntPtr)1,
                new[] { "mask", "probability" }, (UIntPtr)2, new[] { values[1], values[2] }));
        }
        finally
        {
            foreach (var value in values.Where(value => value != IntPtr.Zero)) Call<Release>(ReleaseValue)(value);
            foreach (var pin in pins) pin.Free();
        }
        for (var k = slice * area; k < (slice + 1) * area; k++)
            if (masks[k] > 1 || !(probabilities[k] >= 0 && probabilities[k] <= 1))
                throw new Fault("the model's answer is wrong", "a mask of 0 and 1, probabilities in [0, 1]", masks[k] + " and " + probabilities[k]);
    }

    /// <summary>Names, types and numbers of axes of the inputs, or of the outputs.</summary>
    IEnumerable<string> Declared(int counter, int name, int type)
    {
        IntPtr count, rank, allocator, text, info, tensor;
        int element;
        var found = new List<string>();
        Check(Call<Make>(GetDefaultAllocator)(out allocator));
        Check(Call<MakeFrom>(counter)(session, out count));
        for (var k = 0; k < count.ToInt64(); k++)
        {
            Check(Call<NameOf>(name)(session, (UIntPtr)k, allocator, out text));
            Check(Call<TypeOf>(type)(session, (UIntPtr)k, out info));
            Check(Call<MakeFrom>(CastTypeInfoToTensorInfo)(info, out tensor));
            if (tensor == IntPtr.Zero) throw new Fault("the model keeps another contract", "tensors alone", Json.Write(Marshal.PtrToStringAnsi(text)));
            Check(Call<Element>(GetElementType)(tensor, out element));
            Check(Call<MakeFrom>(GetDimensionsCount)(tensor, out rank));
            found.Add(Marshal.PtrToStringAnsi(text) + " " + element + "/" + rank);
        }
        return found;
    }

    T Call<T>(int place) { return Function<T>(api, place); }

    static T Function<T>(IntPtr table, int place)
    {
        return Marshal.GetDelegateForFunctionPointer<T>(Marshal.ReadIntPtr(table, place * IntPtr.Size));
    }

    void Check(IntPtr status)
    {
        if (status == IntPtr.Zero) return;
        var message = Marshal.PtrToStringAnsi(Call<Text>(GetErrorMessage)(status));
        Call<Release>(ReleaseStatus)(status);
        throw new Fault("onnxruntime refuses the model or the image", "a model of the contract", message.Split('\n')[0]);
    }
}

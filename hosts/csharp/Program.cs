// Runs a brainseg bundle: its golden cases, or a raw image. Legend: N slices, H rows, W columns.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Object = System.Collections.Generic.Dictionary<string, object>;

static class Program
{
    const string Usage = @"usage: brainseg-host BUNDLE [--variant NAME] [--digest HEX] [--library PATH] --golden DIR [--json]
       brainseg-host BUNDLE [--variant NAME] [--digest HEX] [--library PATH] --image FILE --height H --width W [--slices N]
                     --mask OUT [--probability OUT] [--json]";
    static readonly string[] Image = { "image", "height", "width", "mask" }, Names = { "golden", "image", "height", "width", "slices", "mask", "probability", "variant", "digest", "library" };

    sealed class UsageFault : Exception { public UsageFault(string message) : base(message) { } }

    static int Main(string[] arguments)
    {
        try
        {
            var report = Report(Options(arguments));
            Tell(report, arguments.Contains("--json"));
            if ((bool)report["ok"]) return 0;
            throw new Fault("golden cases are answered otherwise here", "every case within the manifest's tolerance", "cases beyond it", "do not use this machine; try another release of onnxruntime");
        }
        catch (UsageFault error)
        {
            Console.Error.WriteLine(error.Message + "\n" + Usage);
            return 2;
        }
        catch (Exception error) // the process's edge: whatever it was, no answer was given
        {
            var told = error as Fault ?? new Fault("the run failed", "readable files, a writable place and enough memory", error.GetType().Name + ": " + error.Message, "see the message");
            Console.Error.WriteLine("error: " + told.Message);
            return 1;
        }
    }

    static Object Report(Dictionary<string, string> options)
    {
        var clock = Stopwatch.StartNew();
        var variant = options["variant"];
        var bundle = new Bundle(options["bundle"], variant, options.ContainsKey("digest") ? options["digest"] : null);
        var model = new Onnx(options["library"], bundle.Model);
        var report = new Object { { "host", "csharp" }, { "onnxruntime", model.Version }, { "bundle", new Object { { "name", bundle.Name }, { "version", bundle.Version }, { "digest", bundle.Digest } } }, { "variant", variant } };
        var found = options.ContainsKey("golden") ? Golden(options["golden"], bundle, variant, model) : Segment(options, bundle, model);
        foreach (var fact in found) report[fact.Key] = fact.Value;
        report["seconds"] = clock.Elapsed.TotalSeconds;
        report["ok"] = !found.ContainsKey("cases") || ((List<object>)found["cases"]).All(each => (bool)((Object)each)["within"]);
        return report;
    }

    static void Tell(Object report, bool json)
    {
        if (json && Native.OutputIsClosed()) throw new Fault("the report cannot be written", "a standard output that takes it", "a closed one", "open it");
        var text = json ? Json.Write(report) : string.Join("\n", report.Select(fact => fact.Key + ": " + Json.Write(fact.Value)));
        var data = System.Text.Encoding.UTF8.GetBytes(text + "\n");
        using (var output = Console.OpenStandardOutput()) output.Write(data, 0, data.Length); // Console.Write may hide that nobody takes it
    }

    static Dictionary<string, string> Options(string[] arguments)
    {
        var options = new Dictionary<string, string>();
        for (var k = 0; k < arguments.Length; k++)
        {
            var word = arguments[k];
            var name = word.StartsWith("-", StringComparison.Ordinal) ? Names.Concat(new[] { "json" }).FirstOrDefault(each => word == "--" + each) : "bundle";
            if (name == null) throw new UsageFault("unknown option " + word);
            if (Names.Contains(name)) word = ++k < arguments.Length && !arguments[k].StartsWith("-", StringComparison.Ordinal) ? arguments[k] : "";
            if (options.ContainsKey(name) || word == "") throw new UsageFault(name + " is given once, with a value");
            options[name] = word;
        }
        Check(options);
        foreach (var usual in new Dictionary<string, string> { { "variant", "fp32" }, { "slices", "1" }, { "library", "libonnxruntime.so" } })
            if (!options.ContainsKey(usual.Key)) options[usual.Key] = usual.Value;
        return options;
    }

    static void Check(Dictionary<string, string> options)
    {
        if (!options.ContainsKey("bundle")) throw new UsageFault("expected a BUNDLE");
        if (options.ContainsKey("golden") ? Image.Concat(new[] { "slices", "probability" }).Any(options.ContainsKey) : !Image.All(options.ContainsKey))
            throw new UsageFault("give either --golden, or --image, --height, --width and --mask");
        foreach (var name in new[] { "height", "width", "slices" }.Where(options.ContainsKey))
            if (!Regex.IsMatch(options[name], @"^[1-9][0-9]{0,5}\z")) throw new UsageFault("--" + name + " is a number from 1 to 999999");
        if (options.ContainsKey("digest"))
        {
            if (!Regex.IsMatch(options["digest"], @"^(sha256:)?[0-9a-fA-F]{64}\z")) throw new UsageFault("--digest takes 64 hexadecimal digits");
            options["digest"] = options["digest"].Substring(options["digest"].Length - 64).ToLowerInvariant();
        }
        foreach (var name in new[] { "image", "mask", "probability" }.Where(options.ContainsKey)) options[name] = Native.Place(options[name]);
        foreach (var name in new[] { "bundle", "golden" }.Where(options.ContainsKey)) options[name] = Path.GetDirectoryName(Native.Place(options[name] + "/x"));
        var paths = new[] { "image", "library", "mask", "probability" }.Where(options.ContainsKey).Select(name => Native.Place(options[name])).ToArray();
        if (paths.Distinct().Count() < paths.Length || new[] { "mask", "probability" }.Where(options.ContainsKey).Any(name => Path.GetDirectoryName(options[name]) == options["bundle"]))
            throw new UsageFault("an output would be written over another file of this run, or into the bundle");
    }

    /// <summary>The cases with the answers that they must give: how far the model's are from them.</summary>
    static Object Golden(string folder, Bundle bundle, string variant, Onnx model)
    {
        var index = Json.Parse(Files.Read(Path.Combine(folder, "index.json"), Files.MaxJson), "index.json", "brainseg/golden/1");
        var digest = Json.Get<string>(Json.Get<Object>(index, "bundle"), "digest");
        if (digest != bundle.Digest) throw new Fault("the golden cases are another bundle's", bundle.Digest, Json.Write(digest), "write them again: brainseg verify BUNDLE --write-golden DIR");
        var cases = Json.Get<List<object>>(index, "cases").Select(c => Json.As<Object>(c, "a case"))
            .Where(c => Json.Get<Object>(c, "variants").ContainsKey(variant)).Select(c => (object)Case(folder, c, bundle, variant, model)).ToList();
        if (cases.Count == 0) throw new Fault("there are no golden cases of the variant", Json.Write(variant), "none", "check another variant");
        return new Object { { "cases", cases } };
    }

    static Object Case(string folder, Object entry, Bundle bundle, string variant, Onnx model)
    {
        var answer = Json.Get<Object>(Json.Get<Object>(entry, "variants"), variant);
        var shape = Json.Get<List<object>>(Json.Get<Object>(entry, "image"), "shape");
        if (shape.Count != 4 || Json.Whole(shape[3], "channels", 3, 3) != 3) throw new Fault("a golden image's shape is wrong", "(N, H, W, 3)", Json.Write(shape));
        int count = Json.Whole(shape[0], "N", 1, 64), height = Json.Whole(shape[1], "H", bundle.MinSide, bundle.MaxSide), width = Json.Whole(shape[2], "W", bundle.MinSide, bundle.MaxSide);
        var total = (long)count * height * width;
        var images = Array(folder, entry, "image", "uint8", total * 3, count, height, width, 3);
        var expectedMasks = Array(folder, answer, "mask", "uint8", total, count, height, width);
        var raw = Array(folder, answer, "probability", "float32", total * 4, count, height, width);
        float[] expected = new float[total], probabilities = new float[total];
        Buffer.BlockCopy(raw, 0, expected, 0, raw.Length);
        var masks = new byte[total];
        for (var n = 0; n < count; n++) model.Run(images, n, height, width, masks, probabilities);
        double worst = 0;
        long different = 0;
        for (var k = 0; k < total; k++)
        {
            worst = Math.Max(worst, Math.Abs((double)probabilities[k] - expected[k])); // NaN stays NaN
            if (masks[k] != expectedMasks[k]) different++;
        }
        var within = worst <= bundle.ProbabilityTolerance && different <= bundle.MaskTolerance * total;
        return new Object { { "name", Json.Get<string>(entry, "name") }, { "max_probability_difference", worst }, { "mask_pixels_different", different }, { "within", within } };
    }

    static byte[] Array(string folder, Object entry, string key, string dtype, long bytes, params double[] shape)
    {
        var array = Json.Get<Object>(entry, key);
        if (Json.Get<string>(array, "dtype") != dtype || bytes > Files.MaxTotal || !Json.Get<List<object>>(array, "shape").SequenceEqual(shape.Cast<object>()))
            throw new Fault("a golden " + key + " is wrong", dtype + " (" + string.Join(", ", shape) + ") of at most 1 GiB", Json.Write(array["dtype"]) + ", " + Json.Write(array["shape"]));
        return Files.Verified(folder, Json.Get<string>(array, "file"), bytes, Json.Get<string>(array, "sha256"));
    }

    /// <summary>A raw image file in, masks out, and probabilities if they are wanted; one slice at a time.</summary>
    static Object Segment(Dictionary<string, string> options, Bundle bundle, Onnx model)
    {
        int height = int.Parse(options["height"]), width = int.Parse(options["width"]), count = int.Parse(options["slices"]);
        int least = Math.Min(height, width), most = Math.Max(height, width);
        if (least < bundle.MinSide || most > bundle.MaxSide) throw new Fault("the image's size is wrong", bundle.MinSide + " to " + bundle.MaxSide + " a side", height + " by " + width, "resample it");
        var total = (long)count * height * width;
        if (3 * total > Files.MaxTotal) throw new Fault("the image is too large", "at most 1 GiB", 3 * total + " bytes", "split it");
        var images = Files.Read(options["image"], 3 * total);
        if (images.Length != 3 * total) throw new Fault("the image file's size is wrong", 3 * total + " bytes", images.Length + " bytes", "check --height, --width and --slices");
        var masks = new byte[total];
        var probabilities = new float[total];
        for (var n = 0; n < count; n++) model.Run(images, n, height, width, masks, probabilities);
        var outputs = new Dictionary<string, byte[]> { { options["mask"], masks } };
        if (options.ContainsKey("probability"))
        {
            var bytes = new byte[4 * total];
            Buffer.BlockCopy(probabilities, 0, bytes, 0, bytes.Length);
            outputs[options["probability"]] = bytes;
        }
        Files.WriteWhole(outputs);
        var warnings = new List<object>();
        if (bundle.Squeezes && 3 * most > 4 * least) warnings.Add("the bundle squeezes images to a square, which costs accuracy: pad this one with zeros to a square");
        return new Object { { "slices", count }, { "tumour_pixels", masks.Sum(each => (long)each) }, { "warnings", warnings } };
    }
}

//! What the names in a pickle stand for. Nothing is looked up anywhere else, and nothing is ever called.

use crate::dtype::Dtype;

/// The elements of a storage or tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// Of a type that is read.
    Plain(Dtype),
    /// Bytes of a storage whose tensors say what they are.
    Untyped,
    /// Of a type that is not read, with its name and its width in bytes.
    Other(&'static (&'static str, u8)),
}

impl Element {
    /// The width of an element in bytes.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Plain(dtype) => dtype.size_bits() / 8,
            Self::Untyped => 1,
            Self::Other((_, width)) => usize::from(*width),
        }
    }
}

/// A global that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// `_rebuild_tensor` and its later forms.
    Rebuild,
    /// `_rebuild_tensor_v3`, which names the type.
    RebuildTyped,
    /// Gives back its first argument, a tensor: `_rebuild_parameter` and the like.
    Same,
    /// `_rebuild_from_type_v2`: calls its first argument.
    FromType,
    /// Makes a tensor that is not read, for this reason.
    Unread(&'static str),
    /// A class of storages.
    Storage(Element),
    /// A type of elements.
    Type(Element),
    /// A class of tensors, made empty and then filled.
    TensorClass,
    /// A class of dictionaries.
    Dict,
    /// `collections.defaultdict`, whose first argument makes values.
    DefaultDict,
    /// A class of lists.
    List,
    /// A class of tuples.
    Tuple,
    /// A class of sets.
    Set,
    /// A class of bytes.
    Bytes,
    /// `_codecs.encode`, by which old protocols write bytes.
    Encode,
    /// `copyreg._reconstructor`, by which old protocols make objects.
    Reconstructor,
    /// `copyreg.__newobj__`, likewise.
    NewObject,
    /// A number of numpy's.
    NumpyScalar,
    /// The type of numpy's numbers.
    NumpyType,
    /// Makes a value that is kept as it is, such as `torch.device`.
    Value,
}

/// The reasons why a tensor is not read, each with the way out.
pub(super) const QUANTIZED: &str = "quantized: call dequantize() and save again";
pub(super) const SPARSE: &str = "sparse: call to_dense() and save again";
pub(super) const NESTED: &str = "nested: save its parts";
pub(super) const META: &str = "without data, on the meta device: save it with data";
pub(super) const SUBCLASS: &str =
    "of a class of its own with data of its own: save it as a plain tensor";
pub(super) const NUMPY: &str = "stored as a numpy array: move it to the CPU and save again";
pub(super) const VIEW_BITS: &str =
    "conjugated or negated when it is used: call resolve_conj().resolve_neg() and save again";
pub(super) const CONVERTED: &str = "converted when it is loaded: move it to the CPU and save again";

/// What a global stands for, if it is understood. Names of Python 2 count too.
pub(super) fn known(module: &str, name: &str) -> Option<Known> {
    Some(match (module, name) {
        ("torch._utils", _) => rebuild(name)?,
        ("torch._tensor", "_rebuild_from_type_v2") => Known::FromType,
        ("torch.nn.parameter", "Parameter" | "Buffer")
        | ("torch.autograd.variable", "Variable") => Known::Same,
        ("torch", "Tensor") | ("torch.autograd", "Variable") => Known::TensorClass,
        ("torch", "Size") | ("builtins" | "__builtin__", "tuple") => Known::Tuple,
        ("torch", "device") | ("torch.serialization", "_get_layout") => Known::Value,
        ("torch" | "torch.cuda" | "torch.storage", _) if name.ends_with("Storage") => {
            Known::Storage(storage(name)?)
        }
        ("torch" | "torch.cuda", _) if name.ends_with("Tensor") => {
            storage(&name.replace("Tensor", "Storage"))?;
            Known::TensorClass
        }
        ("torch", _) => Known::Type(element(name)?),
        ("collections", "OrderedDict" | "Counter") | ("builtins" | "__builtin__", "dict") => {
            Known::Dict
        }
        ("collections", "defaultdict") => Known::DefaultDict,
        ("collections", "deque") | ("builtins" | "__builtin__", "list") => Known::List,
        ("builtins" | "__builtin__", "set" | "frozenset") => Known::Set,
        ("builtins" | "__builtin__", "bytearray" | "bytes") => Known::Bytes,
        (
            "builtins" | "__builtin__",
            "object" | "long" | "unicode" | "int" | "float" | "bool" | "str" | "complex" | "slice"
            | "range" | "type",
        )
        | ("datetime", "datetime" | "date" | "time" | "timedelta" | "timezone")
        | ("functools", "partial")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct")
        | ("numpy", "ndarray") => Known::Value,
        ("_codecs", "encode") => Known::Encode,
        ("copyreg" | "copy_reg", "_reconstructor") => Known::Reconstructor,
        ("copyreg" | "copy_reg", "__newobj__") => Known::NewObject,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Known::NumpyScalar,
        ("numpy", "dtype") => Known::NumpyType,
        _ => return None,
    })
}

fn rebuild(name: &str) -> Option<Known> {
    Some(match name {
        "_rebuild_tensor" | "_rebuild_tensor_v2" => Known::Rebuild,
        "_rebuild_tensor_v3" => Known::RebuildTyped,
        "_rebuild_parameter" | "_rebuild_parameter_with_state" => Known::Same,
        "_rebuild_qtensor" => Known::Unread(QUANTIZED),
        "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor" => Known::Unread(SPARSE),
        "_rebuild_nested_tensor" => Known::Unread(NESTED),
        "_rebuild_meta_tensor_no_storage" => Known::Unread(META),
        "_rebuild_wrapper_subclass" => Known::Unread(SUBCLASS),
        "_rebuild_device_tensor_from_numpy" | "_rebuild_xla_tensor" => Known::Unread(NUMPY),
        "_rebuild_device_tensor_from_cpu_tensor" => Known::Unread(CONVERTED),
        _ => return None,
    })
}

fn storage(name: &str) -> Option<Element> {
    Some(match name {
        "DoubleStorage" => Element::Plain(Dtype::F64),
        "FloatStorage" => Element::Plain(Dtype::F32),
        "HalfStorage" => Element::Plain(Dtype::F16),
        "BFloat16Storage" => Element::Plain(Dtype::BF16),
        "LongStorage" => Element::Plain(Dtype::I64),
        "IntStorage" => Element::Plain(Dtype::I32),
        "ShortStorage" => Element::Plain(Dtype::I16),
        "CharStorage" => Element::Plain(Dtype::I8),
        "ByteStorage" => Element::Plain(Dtype::U8),
        "BoolStorage" => Element::Plain(Dtype::Bool),
        "ComplexFloatStorage" => Element::Plain(Dtype::C64),
        "ComplexDoubleStorage" => Element::Plain(Dtype::C128),
        "UntypedStorage" | "_UntypedStorage" => Element::Untyped,
        "QInt8Storage" => Element::Other(&("qint8", 1)),
        "QUInt8Storage" => Element::Other(&("quint8", 1)),
        "QInt32Storage" => Element::Other(&("qint32", 4)),
        "QUInt4x2Storage" => Element::Other(&("quint4x2", 1)),
        "QUInt2x4Storage" => Element::Other(&("quint2x4", 1)),
        _ => return None,
    })
}

/// Types by the names of PyTorch, and the names that the writer uses first.
const TYPES: &[(&str, Element)] = &[
    ("float64", Element::Plain(Dtype::F64)),
    ("float32", Element::Plain(Dtype::F32)),
    ("float16", Element::Plain(Dtype::F16)),
    ("bfloat16", Element::Plain(Dtype::BF16)),
    ("int64", Element::Plain(Dtype::I64)),
    ("int32", Element::Plain(Dtype::I32)),
    ("int16", Element::Plain(Dtype::I16)),
    ("int8", Element::Plain(Dtype::I8)),
    ("uint8", Element::Plain(Dtype::U8)),
    ("uint16", Element::Plain(Dtype::U16)),
    ("uint32", Element::Plain(Dtype::U32)),
    ("uint64", Element::Plain(Dtype::U64)),
    ("bool", Element::Plain(Dtype::Bool)),
    ("complex32", Element::Plain(Dtype::C32)),
    ("complex64", Element::Plain(Dtype::C64)),
    ("complex128", Element::Plain(Dtype::C128)),
    ("float8_e4m3fn", Element::Plain(Dtype::F8E4M3)),
    ("float8_e5m2", Element::Plain(Dtype::F8E5M2)),
    ("float8_e4m3fnuz", Element::Plain(Dtype::F8E4M3Fnuz)),
    ("float8_e5m2fnuz", Element::Plain(Dtype::F8E5M2Fnuz)),
    ("float8_e8m0fnu", Element::Plain(Dtype::F8E8M0)),
    ("double", Element::Plain(Dtype::F64)),
    ("float", Element::Plain(Dtype::F32)),
    ("half", Element::Plain(Dtype::F16)),
    ("long", Element::Plain(Dtype::I64)),
    ("int", Element::Plain(Dtype::I32)),
    ("short", Element::Plain(Dtype::I16)),
    ("chalf", Element::Plain(Dtype::C32)),
    ("cfloat", Element::Plain(Dtype::C64)),
    ("cdouble", Element::Plain(Dtype::C128)),
    ("float4_e2m1fn_x2", Element::Other(&("float4_e2m1fn_x2", 1))),
    ("bcomplex32", Element::Other(&("bcomplex32", 4))),
    ("bits8", Element::Other(&("bits8", 1))),
    ("bits16", Element::Other(&("bits16", 2))),
    ("bits1x8", Element::Other(&("bits1x8", 1))),
    ("bits2x4", Element::Other(&("bits2x4", 1))),
    ("bits4x2", Element::Other(&("bits4x2", 1))),
    ("qint8", Element::Other(&("qint8", 1))),
    ("quint8", Element::Other(&("quint8", 1))),
    ("qint32", Element::Other(&("qint32", 4))),
    ("quint4x2", Element::Other(&("quint4x2", 1))),
    ("quint2x4", Element::Other(&("quint2x4", 1))),
];

fn element(name: &str) -> Option<Element> {
    TYPES.iter().find(|(of, _)| *of == name).map(|(_, element)| *element)
}

/// How PyTorch calls a type, if it has it.
pub(super) fn torch_name(dtype: Dtype) -> Option<&'static str> {
    TYPES.iter().find(|(_, element)| *element == Element::Plain(dtype)).map(|(name, _)| *name)
}

/// The class of storages of a type; types that came late have none.
pub(super) fn storage_class(dtype: Dtype) -> Option<&'static str> {
    Some(match dtype {
        Dtype::F64 => "DoubleStorage",
        Dtype::F32 => "FloatStorage",
        Dtype::F16 => "HalfStorage",
        Dtype::BF16 => "BFloat16Storage",
        Dtype::I64 => "LongStorage",
        Dtype::I32 => "IntStorage",
        Dtype::I16 => "ShortStorage",
        Dtype::I8 => "CharStorage",
        Dtype::U8 => "ByteStorage",
        Dtype::Bool => "BoolStorage",
        Dtype::C64 => "ComplexFloatStorage",
        Dtype::C128 => "ComplexDoubleStorage",
        _ => return None,
    })
}

/// Modules that reach the system, other code or the network: nothing of a model is in them.
const FORBIDDEN: &[&str] = &[
    "__builtin__",
    "_codecs",
    "_ctypes",
    "_frozen_importlib",
    "_imp",
    "_io",
    "_operator",
    "_osx_support",
    "_pickle",
    "_posixsubprocess",
    "_socket",
    "_thread",
    "_winapi",
    "aiohttp",
    "ast",
    "asyncio",
    "atexit",
    "bdb",
    "builtins",
    "cProfile",
    "cPickle",
    "code",
    "codecs",
    "codeop",
    "commands",
    "compileall",
    "concurrent",
    "copy_reg",
    "copyreg",
    "ctypes",
    "dill",
    "dis",
    "distutils",
    "doctest",
    "ensurepip",
    "fileinput",
    "ftplib",
    "functools",
    "gc",
    "glob",
    "http",
    "httplib",
    "idlelib",
    "imaplib",
    "imp",
    "importlib",
    "inspect",
    "io",
    "itertools",
    "joblib",
    "lib2to3",
    "linecache",
    "mailcap",
    "marshal",
    "mmap",
    "modulefinder",
    "msvcrt",
    "multiprocessing",
    "nt",
    "nntplib",
    "operator",
    "os",
    "paramiko",
    "pdb",
    "pickle",
    "pip",
    "pkgutil",
    "platform",
    "popen2",
    "poplib",
    "posix",
    "posixpath",
    "profile",
    "pstats",
    "pty",
    "py_compile",
    "pydoc",
    "requests",
    "resource",
    "rlcompleter",
    "runpy",
    "select",
    "setuptools",
    "shelve",
    "shutil",
    "signal",
    "site",
    "smtplib",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "subprocess",
    "sys",
    "sysconfig",
    "telnetlib",
    "tempfile",
    "test",
    "threading",
    "timeit",
    "trace",
    "types",
    "unittest",
    "urllib",
    "urllib2",
    "venv",
    "webbrowser",
    "winreg",
    "xmlrpc",
    "zipimport",
    "zipapp",
];

/// Modules of PyTorch that load or build code.
const FORBIDDEN_TORCH: &[&str] = &[
    "torch._dynamo",
    "torch._inductor",
    "torch.hub",
    "torch.jit",
    "torch.multiprocessing",
    "torch.package",
    "torch.serialization",
    "torch.storage",
    "torch.utils.cpp_extension",
    "torch.utils.model_zoo",
];

/// Functions of PyTorch that load files.
const FORBIDDEN_FUNCTIONS: &[(&str, &str)] =
    &[("torch", "load"), ("torch", "compile"), ("numpy", "load"), ("torch", "save")];

/// Whether a global that is not [`known`] is refused wherever it stands. The others are kept as names.
pub(super) fn is_forbidden(module: &str, name: &str) -> bool {
    let root = module.split('.').next().unwrap_or(module);
    // A name with dots reaches through a module's attributes, which may be modules.
    let reaches = name.contains('.') && name.split('.').any(|part| FORBIDDEN.contains(&part));
    let within = |of: &str| {
        module.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    FORBIDDEN.contains(&root)
        || reaches
        || FORBIDDEN_TORCH.iter().any(|of| within(of))
        || FORBIDDEN_FUNCTIONS.contains(&(module, name))
}

/// Whether a global that is not known may be called: by the custom of Python, only classes begin with a
/// capital, and what a class makes is an object.
pub(super) fn is_class(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.trim_start_matches('_').starts_with(|first: char| first.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_name_reaches_no_further_than_a_module() {
        assert!(is_forbidden("torch.nn.modules.module", "sys.modules"));
        assert!(is_forbidden("os", "system"));
        assert!(is_forbidden("os.path", "join"));
        assert!(is_forbidden("torch.serialization", "load"));
        assert!(!is_forbidden("torch.nn.modules.linear", "Linear"));
        assert!(!is_forbidden("osprey.models", "Net"));
        assert!(!is_forbidden("torch.jitter", "Net"));
    }

    #[test]
    fn every_type_that_is_read_has_a_name_and_back() {
        for dtype in Dtype::ALL {
            let small = matches!(dtype, Dtype::F4 | Dtype::F6E2M3 | Dtype::F6E3M2);
            assert_eq!(torch_name(dtype).is_none(), small, "{dtype}");
            if let Some(name) = torch_name(dtype) {
                assert_eq!(known("torch", name), Some(Known::Type(Element::Plain(dtype))));
            }
            if let Some(class) = storage_class(dtype) {
                assert_eq!(known("torch", class), Some(Known::Storage(Element::Plain(dtype))));
            }
        }
    }
}

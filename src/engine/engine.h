/* The C ABI between the GStreamer plugin and the inference engine.
 *
 * The plugin links GStreamer only. The engine (LibTorch, FFTW) is a second library, opened with g_module_open() on
 * NULL->READY and never unloaded. Tests put a fake engine behind the same table. Nothing but C types crosses here: no
 * exception, no allocation that the other side frees.
 *
 * Life cycle: bsm_engine_api() -> model_open() -> stream_open() -> { stream_push() stream_pull() } -> stream_finish()
 *             stream_pull() -> stream_reset() or stream_close() -> model_close().
 *
 * Threads: [any] may be called from any thread at any time; [stream] calls of one stream must not overlap, different
 * streams may run at once (also on one model); a model must outlive its streams.
 *
 * Errors: a function that returns BsmStatus fills *error (if not NULL) with a sentence for users: what, where, what was
 * expected, what to do.
 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BSM_ENGINE_ABI_VERSION 4
#define BSM_ENGINE_SYMBOL "bsm_engine_api"
#define BSM_MAX_STEMS 16

typedef struct BsmModel BsmModel;
typedef struct BsmStream BsmStream;

typedef enum {
  BSM_OK = 0,
  BSM_ERROR_SETTINGS,      /* an option has a value that cannot work */
  BSM_ERROR_NOT_FOUND,     /* no such file or device */
  BSM_ERROR_OPEN_READ,     /* the file cannot be opened or read */
  BSM_ERROR_WRONG_TYPE,    /* not a model file, truncated, or of the wrong shapes */
  BSM_ERROR_LIBRARY,       /* LibTorch is missing or unusable */
  BSM_ERROR_OUT_OF_MEMORY, /* host or device memory ran out */
  BSM_ERROR_DEVICE,        /* a GPU failed or went away; the process may have to end before it works again */
  BSM_ERROR_CANCELLED,     /* the progress callback asked to stop */
  BSM_ERROR_FAILED         /* anything else */
} BsmStatus;

typedef struct {
  BsmStatus status;
  char message[1024]; /* UTF-8, NUL-terminated, truncated if need be */
} BsmError;

typedef enum { BSM_PRECISION_AUTO = 0, BSM_PRECISION_FP32, BSM_PRECISION_BF16, BSM_PRECISION_FP16 } BsmPrecision;
typedef enum { BSM_STREAMING_CARRY = 0, BSM_STREAMING_ROLLING } BsmStreamingMode;
typedef enum { BSM_LOG_ERROR = 0, BSM_LOG_WARNING, BSM_LOG_INFO, BSM_LOG_DEBUG } BsmLogLevel;

typedef struct {
  const char* model_file;   /* path, UTF-8 */
  const char* gpu_model_file; /* NULL, or the file to load instead when the device turns out to be a GPU */
  const char* device;       /* "auto", "cpu", "cuda", "cuda:N"; an explicit device never falls back */
  BsmPrecision precision;   /* auto: fp32 on a CPU, bf16 on a GPU that has it, else fp16 */
  uint32_t threads;         /* CPU threads for inference, 0 = one per physical core */
  int32_t share;            /* not 0: use the weights (and threads) of a model that was opened with the same file, device
                             * and precision and with share, while it is open */
} BsmModelOptions;

typedef struct {
  const char* model_file;                  /* what was loaded; owned by the model */
  int32_t sample_rate_hz;
  int32_t stems;                           /* network outputs; a stream has one more: the rest of the mixture */
  const char* stem_names[BSM_MAX_STEMS];   /* "vocals", ...; owned by the model */
  int32_t frame_hop_samples;               /* hop, look-ahead and context are whole multiples of this */
  int32_t tail_samples;                    /* STFT part of the delay: n_fft - hop */
  const char* device;                      /* what is really used: "cpu", "cuda:0"; owned by the model */
  BsmPrecision precision;                  /* what is really used, never AUTO */
  int64_t parameters;
} BsmModelInfo;

typedef struct {
  uint64_t held_bytes;      /* now; free or in use */
  uint64_t held_bytes_peak; /* the most so far */
} BsmDeviceMemory;

typedef struct {
  int32_t channels;            /* 1 or 2, interleaved */
  BsmStreamingMode mode;
  int64_t hop_samples;         /* samples that one inference finishes; rounded up to whole frames, at least one */
  int64_t lookahead_samples;   /* right context of every finished sample; rounded up to whole frames */
  int64_t context_samples;     /* rolling: left context; carry: ignored (all of the past is context) */
} BsmStreamOptions;

typedef struct {
  int64_t delay_samples;       /* hop + look-ahead + tail: sample s leaves no later than when s + delay has been pushed */
  int64_t hop_samples;         /* after rounding */
  int64_t lookahead_samples;
  int64_t context_samples;
} BsmStreamInfo;

/* Reports loading steps, fraction 0..1; return 0 to cancel (model_open then fails with BSM_ERROR_CANCELLED). */
typedef int (*BsmProgressFunc)(const char* step, double fraction, void* user);
typedef void (*BsmLogFunc)(BsmLogLevel level, const char* message, void* user);

typedef struct {
  uint32_t abi_version;
  const char* version; /* "0.1.0 (LibTorch 1.13.1, OpenBLAS)" */

  /* [any] Replaces the log sink; NULL restores stderr. */
  void (*set_log)(BsmLogFunc log, void* user);

  /* [any] Loads a model file onto a device. Blocks (seconds); call it off the streaming threads. */
  BsmStatus (*model_open)(const BsmModelOptions* options, BsmProgressFunc progress, void* user, BsmModel** model,
                          BsmError* error);
  /* [any] */
  void (*model_info)(const BsmModel* model, BsmModelInfo* info);
  /* [any] What LibTorch's allocator holds of the memory of the model's GPU, for all models and streams of the process.
   * Zeros on a CPU, and where the engine was built without the CUDA toolkit. */
  void (*model_memory)(const BsmModel* model, BsmDeviceMemory* memory);
  /* [any] NULL is allowed. */
  void (*model_close)(BsmModel* model);

  /* [any] Makes a stream and runs it once on silence with its final shapes, so that the first real hop is not slow.
   * *warm_up_ns, if not NULL, receives the time of one warmed-up inference. */
  BsmStatus (*stream_open)(BsmModel* model, const BsmStreamOptions* options, BsmStream** stream, int64_t* warm_up_ns,
                           BsmError* error);
  /* [any] */
  void (*stream_info)(const BsmStream* stream, BsmStreamInfo* info);
  /* [stream] Takes `frames` interleaved frames; runs one inference for each hop that becomes complete. Samples that are
   * not finite count as silence. On error the stream must be reset or closed. */
  BsmStatus (*stream_push)(BsmStream* stream, const float* interleaved, int64_t frames, BsmError* error);
  /* [stream] Frames that can be pulled now. */
  int64_t (*stream_available)(const BsmStream* stream);
  /* [stream] Writes up to max_frames interleaved frames to each of the stems + 1 outputs: the stems in order, then the
   * rest (mixture minus stems). outputs[i] may be NULL. Returns how many frames; all outputs advance together. */
  int64_t (*stream_pull)(BsmStream* stream, float* const* outputs, int64_t max_frames);
  /* [stream] End of signal: after it exactly as many frames can be pulled in all as were pushed. */
  BsmStatus (*stream_finish)(BsmStream* stream, BsmError* error);
  /* [stream] Forgets everything: the next sample starts a new signal. */
  void (*stream_reset)(BsmStream* stream);
  /* [any, last] NULL is allowed. */
  void (*stream_close)(BsmStream* stream);
} BsmEngineApi;

#if defined(__GNUC__)
#define BSM_ENGINE_EXPORT __attribute__((visibility("default")))
#else
#define BSM_ENGINE_EXPORT
#endif

/* The only exported symbol. Returns NULL when the engine cannot serve that ABI version. */
typedef const BsmEngineApi* (*BsmEngineApiFunc)(uint32_t abi_version);
BSM_ENGINE_EXPORT const BsmEngineApi* bsm_engine_api(uint32_t abi_version);

#ifdef __cplusplus
}
#endif

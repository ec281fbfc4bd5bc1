/* Neuron dynamics over a whole sequence [T, N], differentiated by hand; plain C, no torch headers.
 *
 * scan.inc walks the sequence: blocks of neurons that fit the first-level cache, one pass over time, the next
 * row prefetched, streaming stores for large outputs, threads over blocks. A neuron family adds row functions
 * that advance a few hundred neurons by one step (lif.inc, counts.inc, synaptic.inc, ultra.inc).
 *
 * Everything is compiled three times, for AVX-512, AVX2 and the baseline; the best that the processor has is
 * chosen at run time. Floats are combined in the order of the Python oracle, without contraction, so that
 * spikes are equal to its bits. (Only ultra.inc, whose output is real, has functions that torch rounds otherwise.)
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__x86_64__) && defined(__GNUC__) && !defined(SNN_BASELINE)
#include <immintrin.h>
#define SNN_X86 1
#endif

#define SNN_ABI 8
#define MAX_BLOCK 1024
#define CHUNK 256
#define LANES 8
#define PIECES 32 /* of sums by channel; independent of the threads, and so are the sums */
#define EVENT_TILE 256
#define INT_TILE 256  /* pixels of integer layers that are worked on together */
#define INT_CHUNK 512 /* values that pass through an integer neuron together */
#define INT_SMALL (1u << 28)
#define MAX_DIMS 8 /* coordinates of a point */
#define DELAY_WIDTH 16 /* channels or outputs whose delays are summed side by side */
#define PARAMS 10
#define STATES 2
#define SUMS 3

typedef double snn_lanes __attribute__((vector_size(8 * LANES)));
typedef float snn_floats __attribute__((vector_size(4 * LANES)));

typedef struct { /* values of one parameter: element n of a step has data[(n / inner) % period], or value */
    const float *data;
    int64_t period, inner;
    float value;
} snn_param;

typedef struct {
    int32_t family, charge, reset, surrogate, detach, learn; /* what to compute: see the families */
    int32_t x_bf16, out_bf16, threads, every;               /* every: steps between stored states */
    int32_t normed, unused;                                 /* normed: the neurons take P_SCALE * x + P_SHIFT */
    int64_t T, N, x_stride;                                 /* x_stride: elements between steps; 0 repeats */
    const void *x;
    void *out;                 /* forward: outputs [T, N] */
    const float *v0[STATES];   /* states before the first step [N]; null: v0_value everywhere */
    float v0_value[STATES];
    float *v1[STATES];         /* forward: states after the last step [N] */
    float *kept[STATES];       /* states every `every` steps [ceil(T / every) - 1, N] */
    snn_param param[PARAMS];
    float scalar[8];
    const void *g_out;         /* backward: gradients in ... */
    const float *g_v1[STATES];
    void *g_x;                 /* ... and out */
    float *g_v0[STATES];
    float *g_param[SUMS];      /* sums over time [N], if learn; null: not wanted */
    double *g_norm;            /* if normed: sums by channel of g_x, the gradient behind the norm, and of
                                  g_x * (x - P_MEAN), of every piece of the work [PIECES, 2, channels] */
    int64_t stream_bytes;      /* outputs larger than this bypass the cache */
} snn_job;

typedef struct { /* a batch norm in front of neurons, x [outer, channels, inner] */
    const void *x;
    int64_t outer, channels, inner;
    int32_t bf16, threads;
    float *mean, *var, *scale, *shift; /* [channels] each */
    double eps;
} snn_norm;

enum { INT_VALUES, INT_TABLE, INT_CLIP, INT_COUNTS, INT_LIF };
enum { INT_NONE, INT_SOFT, INT_HARD };
enum { INT_FOUR, INT_EIGHT, INT_HALF, INT_DEPTHWISE }; /* 64 outputs of 4 or 8 bits, 32 of 8; one per channel */

typedef struct { /* what follows integer sums; value n of a step has the parameters n % period */
    int32_t kind, scaled, shift, levels;
    int32_t bits, halving, inward, reset; /* decay >> bits; halving: the same as one shift, or -1 */
    int32_t v_rest, v_reset, grid_shift, grid_bits;
    int32_t small, unused; /* small: parameters leave room in int32 */
    int64_t period;
    const int32_t *m, *decay, *theta, *amount; /* of tables: sign for decay, theta [levels, period] */
    const int64_t *r, *middle;                 /* middle: of counts, in fours */
} snn_after;

typedef struct { /* a linear layer (an image of one row) or a convolution on counts, channels last */
    const uint8_t *x;       /* [steps, batch, height, width, all_inputs] */
    const int8_t *gathered; /* [groups, blocks, taps, inputs, 64 or 32 outputs]; four bits: k low, k + 32 high */
    const int8_t *dense;    /* [groups, blocks of 64, rows, runs, run / 4, up to 64 outputs, 4], or null */
    void *y;                /* [steps, batch, out_height, out_width, all_outputs] */
    int64_t steps, batch, height, width, out_height, out_width, groups, inputs, outputs, all_inputs, all_outputs;
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    int64_t rows, runs, run; /* the kernel as rows of runs of adjacent inputs */
    int64_t gathered_group, dense_group; /* bytes */
    int32_t layout, room, high, largest; /* of counts and |codes|; room: products that int16 holds */
    int32_t threads, unused;
    snn_after after;
} snn_int;

typedef struct { /* a maximum over windows, channels last */
    const void *x;
    void *y;
    int64_t images, height, width, out_height, out_width, channels, kernel[2], stride[2], padding[2];
    int32_t bytes, threads;
} snn_pool;

/* The first row of the padded images that row `row` of the outputs reads. */
static inline int64_t int_first_row(const snn_int *j, int64_t row) {
    return row / j->out_height * (j->height + 2 * j->padding[0]) + row % j->out_height * j->stride[0];
}

typedef struct { /* one piece of a step: n neurons at their place in the block */
    int n;
    const float *p[PARAMS], *scalar;
    float *v[STATES];
    const float *x;
    float *out;
    int pitch; /* elements between the rows of one step, of a family that records several */
} snn_rows;

enum { LIF, COUNT, SYNAPTIC, ULTRA };
enum { P_SCALE = 7, P_SHIFT, P_MEAN };

#define PASTE2(a, b) a##_##b
#define PASTE(a, b) PASTE2(a, b)

#define ISA base
#include "isa.inc"
#undef ISA

#ifdef SNN_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi2")
#define ISA avx2
#include "isa.inc"
#undef ISA
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,bmi2,prefer-vector-width=512")
#define ISA avx512
#include "isa.inc"
#undef ISA
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,bmi2,prefer-vector-width=512")
#define ISA vnni
#include "isa_int.inc"
#undef ISA
#pragma GCC pop_options
#endif

int32_t snn_abi(void) { return SNN_ABI; }
int32_t snn_job_size(void) { return (int32_t)sizeof(snn_job); }

/* 0 baseline, 1 AVX2, 2 AVX-512, 3 with VNNI */
static int32_t best(void) {
#ifdef SNN_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_supports("avx512vnni") ? 3 : 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

static int32_t level = -1;

/* Use at most instruction set `wanted` (-1: the best); returns the one in use. For tests. */
int32_t snn_isa(int32_t wanted) {
    int32_t top = best();
    level = wanted < 0 || wanted > top ? top : wanted;
    return level;
}

int32_t snn_has_openmp(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

#ifdef SNN_X86
#define CALL(name, ...) \
    (level >= 2 ? name##_avx512(__VA_ARGS__) : level == 1 ? name##_avx2(__VA_ARGS__) : name##_base(__VA_ARGS__))
#define CALL_INT(name, ...) (level == 3 ? name##_vnni(__VA_ARGS__) : CALL(name, __VA_ARGS__))
#else
#define CALL(name, ...) name##_base(__VA_ARGS__)
#define CALL_INT CALL
#endif

int32_t snn_forward(const snn_job *job) { return CALL(forward, job); }
int32_t snn_backward(const snn_job *job) { return CALL(backward, job); }

typedef struct { /* a linear layer and its neurons, one row */
    int32_t inputs, outputs;
    const float *columns, *bias; /* [inputs, outputs], [outputs] or null */
    float *current;              /* [outputs]: what the linear layer gives, where the job reads */
    int32_t *active;             /* scratch of inputs + 1 entries each */
    float *values;
    snn_job job; /* T = 1, N = outputs; v0 and v1 are the same state */
} snn_stage;

/* One step of a chain of layers: x [inputs of the first] -> job.out of the last. */
void snn_step(const snn_stage *stages, int32_t count, const float *x) {
    for (const snn_stage *s = stages; s < stages + count; s++) {
        CALL(event_linear, 1, s->inputs, s->outputs, x, s->columns, s->bias, s->current, s->active, s->values, 1);
        CALL(forward, &s->job);
        x = s->job.out;
    }
}

/* Mean and variance of the batch; scratch [PIECES, 2, channels]. */
void snn_moments(const snn_norm *norm, double *scratch) { CALL(moments, norm, scratch); }

/* Scale and shift from the mean, 1 / standard deviation, weight and bias (null: 1 and 0), rounded as by torch. */
void snn_affine(const snn_norm *norm, const float *inverse, const float *weight, const float *bias) {
    for (int64_t c = 0; c < norm->channels; c++) {
        norm->scale[c] = weight ? inverse[c] * weight[c] : inverse[c];
        norm->shift[c] = (float)((bias ? bias[c] : 0.0) - (double)norm->mean[c] * norm->scale[c]);
    }
}

/* sums [PIECES, 2, channels]; scratch [2, channels] */
void snn_norm_back(const snn_norm *norm, const double *sums, int32_t of_batch, float *g_weight, float *g_bias,
                   float *scratch, void *g) {
    CALL(norm_back, norm, sums, of_batch, g_weight, g_bias, scratch, g);
}

/* at and scale: scratch of threads * (tile * inputs + 1) entries, tile = min(ceil(rows / threads), EVENT_TILE) */
void snn_event_linear(int64_t rows, int32_t inputs, int64_t outputs, const float *x, const float *w, const float *bias,
                      float *y, int32_t *at, float *scale, int32_t threads) {
    CALL(event_linear, rows, inputs, outputs, x, w, bias, y, at, scale, threads);
}

/* 0, or 1 without memory: then nothing is computed. */
int32_t snn_int_layer(const snn_int *job) { return CALL_INT(int_layer, job); }

/* x [steps, count], int32, or int64 if wide, which are rescaled -> y, int32 or of neurons uint8 */
void snn_int_values(int64_t steps, int64_t count, int32_t wide, const void *x, const snn_after *after, void *y,
                    int32_t threads) {
    CALL_INT(int_values, steps, count, wide, x, after, y, threads);
}

void snn_int_pool(const snn_pool *job) {
    if (job->bytes == 1) CALL_INT(int_pool_8, job);
    else CALL_INT(int_pool_32, job);
}

/* Squared distances d [batch, padded] begin at infinity, at -1 in the padding; picked [batch, count] holds the first
 * points. With `distinct` no point is picked twice. */
void snn_farthest(int64_t batch, int32_t dims, int64_t padded, int64_t count, int32_t distinct, const float *planes,
                  float *d, int64_t *picked, int32_t threads) {
    CALL(farthest, batch, dims, padded, count, distinct, planes, d, picked, threads);
}

/* query [batch, queries, dims]; index and distance (squared) [batch, queries, k] */
void snn_nearest(int64_t batch, int32_t dims, int64_t padded, int64_t queries, int32_t k, const float *planes,
                 const float *query, int64_t *index, float *distance, int32_t threads) {
    CALL(nearest, batch, dims, padded, queries, k, planes, query, index, distance, threads);
}

/* x [steps + deepest, batch, channels], y [steps, batch, channels]; at [channels]: from an output to its input */
void snn_delay_shift(int64_t steps, int64_t batch, int64_t channels, const int64_t *at, int32_t back, float *x,
                     float *y, int32_t threads) {
    CALL(delay_shift, steps, batch, channels, at, back, x, y, threads);
}

/* sum [taps, channels]; scratch [threads, (2 steps + 2 taps) * DELAY_WIDTH] */
void snn_delay_correlate(int64_t steps, int64_t batch, int64_t channels, int64_t taps, const float *x, const float *g,
                         float *sum, float *scratch, int32_t threads) {
    CALL(delay_correlate, steps, batch, channels, taps, x, g, sum, scratch, threads);
}

/* start [batch * inputs + 1]; step, value: as many as x has nonzero entries */
void snn_delay_events(int64_t steps, int64_t batch, int64_t inputs, const float *x, int32_t *start, int32_t *step,
                      float *value) {
    CALL(delay_events, steps, batch, inputs, x, start, step, value);
}

/* kernel [outputs, inputs, taps], out [steps, batch, outputs]; learn: out is read and kernel written, else the other
 * way; scratch [threads, (inputs * taps + steps) * DELAY_WIDTH] */
void snn_delay_through(int32_t learn, int64_t steps, int64_t batch, int64_t inputs, int64_t outputs, int64_t taps,
                       const int32_t *start, const int32_t *step, const float *value, float *kernel, float *out,
                       float *scratch, int32_t threads) {
    CALL(delay_through, learn, steps, batch, inputs, outputs, taps, start, step, value, kernel, out, scratch, threads);
}

/* x [steps, batch, inputs], out [at least steps, batch, outputs]; target, amount [inputs, fan] */
void snn_delay_scatter(int64_t steps, int64_t batch, int64_t inputs, int64_t outputs, int64_t fan, const float *x,
                       const int64_t *target, const float *amount, float *out, int32_t threads) {
    CALL(delay_scatter, steps, batch, inputs, outputs, fan, x, target, amount, out, threads);
}

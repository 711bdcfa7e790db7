/* Where arrays lie in memory: overlap of two of them, and the journal that saves and restores them.
 *
 * in:  an array as base pointer, dims, byte strides, item size
 * out: View (normalised), views_disjoint(), strides_distinct(), view_bytes(), view_copy(), the journal buffer
 */
#ifndef ALPYNA_GUARD_MEMORY_H
#define ALPYNA_GUARD_MEMORY_H

#include "_guard_core.h"

/* An array as a set of elements: positive strides in bytes, largest first; axes of one element or of
 * stride 0 dropped; axes that continue each other merged. It covers the bytes [lo, hi). */
typedef struct {
    uintptr_t lo, hi;
    int64_t itemsize;
    int n;
    int64_t dim[NPY_MAXDIMS], stride[NPY_MAXDIMS];
} View;

static void
view_add_axis(View *v, int64_t dim, int64_t stride)
{
    if (dim == 1 || stride == 0) {
        return;
    }
    int64_t reach = (dim - 1) * stride;
    if (stride < 0) {
        v->lo += (uintptr_t)reach;
        stride = -stride;
    }
    else {
        v->hi += (uintptr_t)reach;
    }
    int k = v->n++;
    for (; k > 0 && v->stride[k - 1] < stride; k--) {
        v->dim[k] = v->dim[k - 1];
        v->stride[k] = v->stride[k - 1];
    }
    v->dim[k] = dim;
    v->stride[k] = stride;
}

static void
view_merge_axes(View *v)
{
    int n = 0;
    for (int k = 0; k < v->n; k++) {
        if (n > 0 && v->stride[n - 1] == v->dim[k] * v->stride[k]) {
            v->dim[n - 1] *= v->dim[k];
            v->stride[n - 1] = v->stride[k];
        }
        else {
            v->dim[n] = v->dim[k];
            v->stride[n] = v->stride[k];
            n++;
        }
    }
    v->n = n;
}

static void
view_of_param(View *v, const Param *p, const alp_slot *in)
{
    const alp_slot *s = in + p->slot;
    v->itemsize = (int64_t)1 << p->shift;
    v->lo = (uintptr_t)s[0].p;
    v->hi = v->lo + (uintptr_t)v->itemsize;
    v->n = 0;
    for (int k = 0; k < p->ndim; k++) {
        view_add_axis(v, s[1 + k].i, s[1 + p->ndim + k].i * v->itemsize);
    }
    view_merge_axes(v);
}

/* `array` has no axis of 0 elements. */
static void
view_of_array(View *v, PyArrayObject *array)
{
    v->itemsize = PyArray_ITEMSIZE(array);
    v->lo = (uintptr_t)PyArray_DATA(array);
    v->hi = v->lo + (uintptr_t)v->itemsize;
    v->n = 0;
    for (int k = 0; k < PyArray_NDIM(array); k++) {
        view_add_axis(v, PyArray_DIM(array, k), PyArray_STRIDE(array, k));
    }
    view_merge_axes(v);
}

static uint64_t
gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* 1 if it is proved that no byte belongs to both.
 *
 * Byte ranges first. Then residues: take the axes of stride >= t of both arrays, let g be the gcd of
 * their strides; modulo g, each array lies within [start, start + extent of its remaining axes). If
 * these two arcs do not meet for some t, nothing is shared. With t = the smallest stride this is the
 * gcd test for interleaved views (a[0::2], a[1::2]); with larger t it separates blocks of columns
 * (a[:, :k], a[:, k:]). The exact question is a bounded linear Diophantine equation, NP-hard in
 * general (numpy/_core/src/common/mem_overlap.c): this is its cheap sufficient side. */
static int
views_disjoint(const View *a, const View *b)
{
    if (a->hi <= b->lo || b->hi <= a->lo) {
        return 1;
    }
    for (int candidate = 0; candidate < a->n + b->n; candidate++) {
        int64_t t = candidate < a->n ? a->stride[candidate] : b->stride[candidate - a->n];
        uint64_t g = 0, extent_a = (uint64_t)a->itemsize, extent_b = (uint64_t)b->itemsize;
        for (int k = 0; k < a->n; k++) {
            if (a->stride[k] >= t) {
                g = gcd(g, (uint64_t)a->stride[k]);
            }
            else {
                extent_a += (uint64_t)((a->dim[k] - 1) * a->stride[k]);
            }
        }
        for (int k = 0; k < b->n; k++) {
            if (b->stride[k] >= t) {
                g = gcd(g, (uint64_t)b->stride[k]);
            }
            else {
                extent_b += (uint64_t)((b->dim[k] - 1) * b->stride[k]);
            }
        }
        uint64_t gap = b->lo >= a->lo ? (b->lo - a->lo) % g : (g - (a->lo - b->lo) % g) % g;
        if (gap >= extent_a && g - gap >= extent_b) {
            return 1;
        }
    }
    return 0;
}

/* 1 if it is proved that no two subscripts mean one element: each stride steps over all that the axes of smaller
 * strides cover. Of an array without axes of 0 elements. */
static int
strides_distinct(int ndim, const npy_intp *dims, const npy_intp *strides, size_t itemsize)
{
    size_t dim[NPY_MAXDIMS], stride[NPY_MAXDIMS], extent = itemsize;
    int n = 0;
    for (int axis = 0; axis < ndim; axis++) {
        if (dims[axis] == 1) {
            continue;
        }
        size_t step = strides[axis] < 0 ? 0 - (size_t)strides[axis] : (size_t)strides[axis];
        int k = n++;
        for (; k > 0 && stride[k - 1] > step; k--) {
            dim[k] = dim[k - 1];
            stride[k] = stride[k - 1];
        }
        dim[k] = (size_t)dims[axis];
        stride[k] = step;
    }
    for (int k = 0; k < n; k++) {
        if (stride[k] < extent) {
            return 0;
        }
        extent += (dim[k] - 1) * stride[k];
    }
    return 1;
}

/* Bytes that saving the view takes. */
static size_t
view_bytes(const View *v)
{
    size_t n = (size_t)v->itemsize;
    for (int k = 0; k < v->n; k++) {
        n *= (size_t)v->dim[k];
    }
    return n;
}

/* Copies `count` items of `size` bytes that lie `step` bytes apart in memory to or from packed storage. */
static inline void
copy_run(char *memory, char *packed, int64_t count, int64_t step, size_t size, int restore)
{
    if (step == (int64_t)size) {
        if (restore) {
            memcpy(memory, packed, (size_t)count * size);
        }
        else {
            memcpy(packed, memory, (size_t)count * size);
        }
        return;
    }
#define COPY_ITEMS(SIZE)                                                              \
    for (int64_t i = 0; i < count; i++, memory += step, packed += SIZE) {             \
        if (restore) memcpy(memory, packed, SIZE); else memcpy(packed, memory, SIZE); \
    }                                                                                 \
    break
    switch (size) { /* a constant size makes each memcpy one move */
    case 1: COPY_ITEMS(1);
    case 2: COPY_ITEMS(2);
    case 4: COPY_ITEMS(4);
    case 8: COPY_ITEMS(8);
    default: COPY_ITEMS(16);
    }
#undef COPY_ITEMS
}

/* Saves the view's elements to `packed`, or puts them back. Returns the end of the packed storage. */
static char *
view_copy(const View *v, char *packed, int restore)
{
    int outer = v->n - 1;
    if (outer < 0) {
        copy_run((char *)v->lo, packed, 1, v->itemsize, (size_t)v->itemsize, restore);
        return packed + v->itemsize;
    }
    int64_t count = v->dim[outer], step = v->stride[outer];
    int64_t at[NPY_MAXDIMS] = {0};
    char *memory = (char *)v->lo;
    for (;;) {
        copy_run(memory, packed, count, step, (size_t)v->itemsize, restore);
        packed += count * v->itemsize;
        int k = outer - 1;
        for (; k >= 0; k--) {
            memory += v->stride[k];
            if (++at[k] < v->dim[k]) {
                break;
            }
            memory -= v->dim[k] * v->stride[k];
            at[k] = 0;
        }
        if (k < 0) {
            return packed;
        }
    }
}

/* One buffer is kept between calls (fresh pages cost more than the copy itself), up to a bound; a call
 * that finds it in use (another thread, or a nested call) gets its own. Guarded by the GIL. */
static const size_t JOURNAL_KEEP = (size_t)64 << 20; /* bytes */
static char *journal_buffer;
static size_t journal_size;
static int journal_busy;

static char *
journal_take(size_t size)
{
    if (journal_busy) {
        return PyMem_RawMalloc(size);
    }
    if (journal_size < size) {
        PyMem_RawFree(journal_buffer);
        journal_buffer = PyMem_RawMalloc(size);
        journal_size = journal_buffer == NULL ? 0 : size;
    }
    journal_busy = journal_buffer != NULL;
    return journal_buffer;
}

static void
journal_give(char *buffer)
{
    if (buffer != journal_buffer) {
        PyMem_RawFree(buffer);
        return;
    }
    journal_busy = 0;
    if (journal_size > JOURNAL_KEEP) {
        PyMem_RawFree(journal_buffer);
        journal_buffer = NULL;
        journal_size = 0;
    }
}

#endif

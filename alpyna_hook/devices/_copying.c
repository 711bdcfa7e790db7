/* Copies between arrays and staging memory by several threads, without the GIL; see copying.py, which says what they do.
 *
 * in:  an array by the buffer protocol (any strides), contiguous bytes, where in the array these begin
 * out: the bytes copied, or those that differed
 *
 * Threads are started at the first use, sleep when there is nothing to do, and are dismissed before a fork. They never
 * touch a Python object, and take no signals. One copy uses them at a time; another one meanwhile does without.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { MOST_AXES = 64, MOST_THREADS = 11, TILE = 16, MOST_SPINS = 4096 };
static const int64_t UNIT = 1 << 18; /* bytes that a thread takes at a time: they stay in its cache */
static const int64_t SPIN_NS = 50000; /* the next piece of a copy comes sooner than a thread that sleeps wakes up */

/* Bytes [first, first + size) of an array in C order. Axes of one element are left out, those that continue each other
 * are one. */
typedef struct {
    char *base;
    int64_t item, first, size;
    int n;
    int64_t dim[MOST_AXES], stride[MOST_AXES];
} Host;

typedef enum { FILL, DIFFER, SPREAD } Kind;

/* `slot` and `shadow` (may be NULL) hold the same bytes, packed. FILL: from the array; DIFFER: the same, of units that
 * are not what the shadow, or else the slot, holds; SPREAD: from the slot to the array and the shadow. */
typedef struct {
    Kind kind;
    Host host;
    char *slot, *shadow;
    int64_t unit, units;
    int past_caches;  /* write array and shadow around the caches */
    char *differing; /* a byte per unit */
    atomic_llong next;
} Job;

/* ---- one unit ---- */

static void
copy_bytes(char *to, const char *from, int64_t size, int past_caches)
{
#ifdef __SSE2__
    if (past_caches && size >= 1024) {
        int64_t head = (int64_t)(-(uintptr_t)to & 15);
        memcpy(to, from, (size_t)head);
        to += head, from += head, size -= head;
        for (; size >= 64; size -= 64, to += 64, from += 64) {
            __m128i a = _mm_loadu_si128((const __m128i *)from), b = _mm_loadu_si128((const __m128i *)from + 1);
            __m128i c = _mm_loadu_si128((const __m128i *)from + 2), d = _mm_loadu_si128((const __m128i *)from + 3);
            _mm_stream_si128((__m128i *)to, a);
            _mm_stream_si128((__m128i *)to + 1, b);
            _mm_stream_si128((__m128i *)to + 2, c);
            _mm_stream_si128((__m128i *)to + 3, d);
        }
        _mm_sfence();
    }
#else
    (void)past_caches;
#endif
    memcpy(to, from, (size_t)size);
}

/* `count` items `step` bytes apart, to or from packed ones. */
static void
copy_run(char *array, char *packed, int64_t count, int64_t step, int64_t item, int to_array, int past_caches)
{
    if (step == item) {
        if (to_array) {
            copy_bytes(array, packed, count * item, past_caches);
        }
        else {
            memcpy(packed, array, (size_t)(count * item));
        }
        return;
    }
#define ITEMS(SIZE)                                                                      \
    for (int64_t i = 0; i < count; i++, array += step, packed += SIZE) {                 \
        if (to_array) memcpy(array, packed, SIZE); else memcpy(packed, array, SIZE);     \
    }                                                                                    \
    break
    switch (item) { /* a constant size makes each memcpy one move */
    case 1: ITEMS(1);
    case 2: ITEMS(2);
    case 4: ITEMS(4);
    case 8: ITEMS(8);
    case 16: ITEMS(16);
    default: ITEMS((size_t)item);
    }
#undef ITEMS
}

/* Whole rows along the last two axes, of which the last but one has the smaller step: by tiles, so that what a cache
 * line holds of neighbouring rows is used while it is there. */
static void
copy_tiles(const Host *h, char *array, char *packed, int64_t rows, int to_array)
{
    int64_t columns = h->dim[h->n - 1], down = h->stride[h->n - 2], step = h->stride[h->n - 1];
    for (int64_t c = 0; c < columns; c += TILE) {
        int64_t width = columns - c < TILE ? columns - c : TILE;
        for (int64_t r = 0; r < rows; r++) {
            copy_run(array + r * down + c * step, packed + (r * columns + c) * h->item, width, step, h->item,
                     to_array, 0);
        }
    }
}

static int64_t
magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

/* Whether neighbours in memory are neighbours along the last axis but one. */
static int
is_tiled(const Host *h)
{
    int last = h->n - 1;
    return last > 0 && h->stride[last] != h->item && magnitude(h->stride[last - 1]) < magnitude(h->stride[last]);
}

/* Items [begin, end) of the array, in C order, to or from packed ones. */
static void
copy_items(const Host *h, int64_t begin, int64_t end, char *packed, int to_array, int past_caches)
{
    if (h->n == 0) {
        copy_run(h->base, packed, end - begin, h->item, h->item, to_array, 0);
        return;
    }
    int last = h->n - 1, tiled = is_tiled(h);
    while (begin < end) {
        int64_t rest = begin, at[MOST_AXES];
        char *array = h->base;
        for (int k = last; k >= 0; k--) {
            at[k] = rest % h->dim[k];
            rest /= h->dim[k];
            array += at[k] * h->stride[k];
        }
        int64_t count = h->dim[last] - at[last];
        count = count < end - begin ? count : end - begin;
        int64_t rows = tiled && at[last] == 0 ? (end - begin) / h->dim[last] : 0;
        if (rows > 1) {
            int64_t below = h->dim[last - 1] - at[last - 1];
            rows = rows < below ? rows : below;
            count = rows * h->dim[last];
            copy_tiles(h, array, packed, rows, to_array);
        }
        else {
            copy_run(array, packed, count, h->stride[last], h->item, to_array, past_caches);
        }
        begin += count;
        packed += count * h->item;
    }
}

/* Whether items [begin, end) are others than the packed ones, bit for bit. */
static int
items_differ(const Host *h, int64_t begin, int64_t end, const char *packed)
{
    char block[4096];
    int64_t most = (int64_t)sizeof block / h->item;
    int contiguous = h->n == 0 || (h->n == 1 && h->stride[0] == h->item);
    if (contiguous) {
        return memcmp(h->base + begin * h->item, packed, (size_t)((end - begin) * h->item)) != 0;
    }
    for (; begin < end; begin += most, packed += most * h->item) {
        int64_t stop = begin + most < end ? begin + most : end;
        copy_items(h, begin, stop, block, 0, 0);
        if (memcmp(block, packed, (size_t)((stop - begin) * h->item)) != 0) {
            return 1;
        }
    }
    return 0;
}

static void
do_unit(Job *job, int64_t number)
{
    const Host *h = &job->host;
    int64_t from = number * job->unit, to = from + job->unit < h->size ? from + job->unit : h->size;
    int64_t begin = (h->first + from) / h->item, end = (h->first + to) / h->item;
    char *slot = job->slot + from, *shadow = job->shadow == NULL ? NULL : job->shadow + from;
    int there = 0; /* what is in the slot is right already */
    if (job->kind == DIFFER && shadow != NULL && is_tiled(h)) { /* no block of a row is worth reading alone */
        copy_items(h, begin, end, slot, 0, 0);
        there = 1;
        if (memcmp(slot, shadow, (size_t)(to - from)) == 0) {
            return;
        }
    }
    else if (job->kind == DIFFER && !items_differ(h, begin, end, shadow == NULL ? slot : shadow)) {
        return;
    }
    if (job->kind == DIFFER) {
        job->differing[number] = 1;
    }
    if (!there) {
        copy_items(h, begin, end, slot, job->kind == SPREAD, job->past_caches);
    }
    if (shadow != NULL) {
        copy_bytes(shadow, slot, to - from, job->past_caches);
    }
}

static void
do_units(Job *job)
{
    for (;;) {
        int64_t number = atomic_fetch_add(&job->next, 1);
        if (number >= job->units) {
            return;
        }
        do_unit(job, number);
    }
}

/* ---- threads ---- */

static pthread_mutex_t one_copy = PTHREAD_MUTEX_INITIALIZER; /* held by the copy that has the threads */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;     /* guards what follows */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_t threads[MOST_THREADS];
static int running, wanted; /* threads; how many of them are to take part in the copy */
static int quit;
static Job *job;
static atomic_llong turn; /* a new number for each copy, and for their end */
static atomic_int busy;   /* threads that are at it */

static int64_t
nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
relax(void)
{
#ifdef __SSE2__
    _mm_pause();
#endif
}

/* Spins until another copy begins, or for SPIN_NS. */
static void
await_turn(long long seen)
{
    int64_t end = nanoseconds() + SPIN_NS;
    while (atomic_load(&turn) == seen && nanoseconds() < end) {
        for (int k = 0; k < 32 && atomic_load(&turn) == seen; k++) {
            relax();
        }
    }
}

static void *
serve(void *argument)
{
    int number = (int)(intptr_t)argument;
    long long seen = -1;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!quit && (atomic_load(&turn) == seen || job == NULL || number >= wanted)) {
            pthread_cond_wait(&wake, &lock);
        }
        seen = atomic_load(&turn);
        Job *mine = quit ? NULL : job;
        if (mine != NULL) {
            atomic_fetch_add(&busy, 1);
        }
        pthread_mutex_unlock(&lock);
        if (mine == NULL) {
            return NULL;
        }
        do_units(mine);
        atomic_fetch_sub(&busy, 1);
        await_turn(seen);
    }
}

/* As many threads as can be had, up to `count`. Called with `one_copy` held. */
static void
start(int count)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (running < count && pthread_create(&threads[running], NULL, serve, (void *)(intptr_t)running) == 0) {
        running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Does the job with up to `count` threads, this one among them. */
static void
run(Job *mine, int count)
{
    count = count < mine->units ? count : (int)mine->units;
    count = count - 1 < MOST_THREADS ? count - 1 : MOST_THREADS;
    if (count < 1 || pthread_mutex_trylock(&one_copy) != 0) {
        do_units(mine);
        return;
    }
    start(count);
    pthread_mutex_lock(&lock);
    job = mine;
    wanted = count;
    atomic_fetch_add(&turn, 1);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
    do_units(mine);
    pthread_mutex_lock(&lock);
    job = NULL; /* no thread begins with it any more */
    pthread_mutex_unlock(&lock);
    for (int k = 0; atomic_load(&busy) != 0; k++) {
        if (k < MOST_SPINS) {
            relax();
        }
        else {
            sched_yield(); /* there are more threads than cores */
        }
    }
    pthread_mutex_unlock(&one_copy);
}

/* ---- Python ---- */

static PyObject *
dismiss(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&one_copy);
    pthread_mutex_lock(&lock);
    quit = 1;
    atomic_fetch_add(&turn, 1);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
    for (int k = 0; k < running; k++) {
        pthread_join(threads[k], NULL);
    }
    running = quit = 0;
    pthread_mutex_unlock(&one_copy);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* After a fork: the threads of a copy that was under way in another thread are not here, nor is who holds the locks. */
static void
in_child(void)
{
    pthread_mutex_init(&one_copy, NULL);
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&wake, NULL);
    running = wanted = quit = 0;
    job = NULL;
    atomic_store(&busy, 0);
}

static int
host_of(Host *h, const Py_buffer *b, Py_ssize_t first, Py_ssize_t size)
{
    h->base = b->buf;
    h->item = b->itemsize;
    h->first = first;
    h->size = size;
    h->n = 0;
    int64_t all = b->itemsize;
    for (int k = 0; k < b->ndim; k++) {
        int64_t dim = b->shape[k], stride = b->strides[k];
        all *= dim;
        if (dim == 1) {
            continue;
        }
        if (h->n > 0 && h->stride[h->n - 1] == dim * stride) {
            h->dim[h->n - 1] *= dim;
            h->stride[h->n - 1] = stride;
        }
        else {
            h->dim[h->n] = dim;
            h->stride[h->n] = stride;
            h->n++;
        }
    }
    if (b->itemsize < 1 || b->itemsize > 4096 || b->ndim > MOST_AXES || first < 0 || first > all - size ||
        first % b->itemsize != 0 || size % b->itemsize != 0) {
        PyErr_SetString(PyExc_ValueError, "these are no whole elements of the array");
        return -1;
    }
    return 0;
}

/* The bytes of `object`, as many as there are in `size` (if it is not negative); None: NULL. */
static int
bytes_of(Py_buffer *b, PyObject *object, int writeable, Py_ssize_t size)
{
    b->obj = NULL;
    b->buf = NULL;
    if (object == Py_None) {
        return 0;
    }
    if (PyObject_GetBuffer(object, b, writeable ? PyBUF_CONTIG : PyBUF_CONTIG_RO) < 0) {
        return -1;
    }
    if (size >= 0 && b->len != size) {
        PyErr_SetString(PyExc_ValueError, "slot and shadow differ in size");
        PyBuffer_Release(b);
        return -1;
    }
    return 0;
}

/* Sets the job up from its arguments, runs it, and lets the buffers go. -1 with an exception set. */
static int
perform(Job *mine, PyObject *host, PyObject *slot, PyObject *shadow, Py_ssize_t first, Py_ssize_t piece, int count)
{
    Py_buffer a, s, t;
    int spread = mine->kind == SPREAD, result = -1;
    if (bytes_of(&s, slot, !spread, -1) < 0) {
        return -1;
    }
    if (bytes_of(&t, shadow, 1, s.len) < 0) {
        goto slot;
    }
    if (PyObject_GetBuffer(host, &a, spread ? PyBUF_STRIDED : PyBUF_STRIDED_RO) < 0) {
        goto shadow;
    }
    if (host_of(&mine->host, &a, first, s.len) < 0) {
        goto host;
    }
    mine->unit = (piece > 0 ? piece : UNIT) / a.itemsize * a.itemsize;
    mine->unit = mine->unit > 0 ? mine->unit : a.itemsize;
    mine->units = (s.len + mine->unit - 1) / mine->unit;
    mine->slot = s.buf;
    mine->shadow = t.buf;
    mine->differing = mine->kind == DIFFER ? PyMem_Calloc((size_t)mine->units + 1, 1) : NULL;
    if (mine->kind == DIFFER && mine->differing == NULL) {
        PyErr_NoMemory();
        goto host;
    }
    atomic_init(&mine->next, 0);
    Py_BEGIN_ALLOW_THREADS
    run(mine, count);
    Py_END_ALLOW_THREADS
    result = 0;
host:
    PyBuffer_Release(&a);
shadow:
    PyBuffer_Release(&t);
slot:
    PyBuffer_Release(&s);
    return result;
}

/* Ranges of differing units, neighbours in one. */
static PyObject *
ranges(const Job *mine)
{
    PyObject *found = PyList_New(0);
    for (int64_t k = 0; found != NULL && k < mine->units;) {
        int64_t stop = k;
        while (stop < mine->units && mine->differing[stop]) {
            stop++;
        }
        if (stop > k) {
            int64_t behind = stop * mine->unit < mine->host.size ? stop * mine->unit : mine->host.size;
            PyObject *one = Py_BuildValue("(LL)", (long long)(mine->host.first + k * mine->unit),
                                          (long long)(mine->host.first + behind));
            if (one == NULL || PyList_Append(found, one) < 0) {
                Py_CLEAR(found);
            }
            Py_XDECREF(one);
        }
        k = stop > k ? stop : k + 1;
    }
    return found;
}

static PyObject *
differing(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *host, *slot, *shadow;
    Py_ssize_t first, piece;
    int count;
    Job mine = {.kind = DIFFER};
    if (!PyArg_ParseTuple(args, "OOOnnip:differing", &host, &slot, &shadow, &first, &piece, &count,
                          &mine.past_caches) ||
        perform(&mine, host, slot, shadow, first, piece, count) < 0) {
        return NULL;
    }
    PyObject *found = ranges(&mine);
    PyMem_Free(mine.differing);
    return found;
}

static PyObject *
copy(Kind kind, const char *format, PyObject *args)
{
    PyObject *host, *slot, *shadow;
    Py_ssize_t first;
    int count;
    Job mine = {.kind = kind};
    if (!PyArg_ParseTuple(args, format, &host, &slot, &shadow, &first, &count, &mine.past_caches) ||
        perform(&mine, host, slot, shadow, first, 0, count) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
fill(PyObject *Py_UNUSED(module), PyObject *args)
{
    return copy(FILL, "OOOnip:fill", args);
}

static PyObject *
spread(PyObject *Py_UNUSED(module), PyObject *args)
{
    return copy(SPREAD, "OOOnip:spread", args);
}

static PyMethodDef methods[] = {
    {"fill", fill, METH_VARARGS, "fill(array, slot, shadow, first, threads, past_caches): from the array"},
    {"differing", differing, METH_VARARGS,
     "differing(array, slot, shadow, first, piece, threads, past_caches) -> [(first, behind), ...]: what differed"},
    {"spread", spread, METH_VARARGS, "spread(array, slot, shadow, first, threads, past_caches): to the array"},
    {"dismiss", dismiss, METH_NOARGS, "dismiss(): no thread is left"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "alpyna_hook.devices._copying",
    .m_doc = "Copies by several threads; see alpyna_hook.devices.copying.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__copying(void)
{
    if (pthread_atfork(NULL, NULL, in_child) != 0) {
        return PyErr_NoMemory();
    }
    return PyModule_Create(&module_def);
}

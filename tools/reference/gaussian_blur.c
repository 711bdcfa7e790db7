#include <math.h>
#include <stdint.h>

static int64_t clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

void kernel(const uint8_t *restrict image, int64_t rows, int64_t cols, const double *restrict weights, int64_t taps,
            double *restrict tmp, int64_t trows, int64_t tcols, uint8_t *restrict out, int64_t orows, int64_t ocols)
{
    int64_t radius = taps / 2;
#pragma omp parallel for
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            double s = 0.0;
            for (int64_t d = -radius; d <= radius; d++)
                s += weights[d + radius] * image[i * cols + clamp(j + d, cols)];
            tmp[i * cols + j] = s;
        }
#pragma omp parallel for
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            double s = 0.0;
            for (int64_t d = -radius; d <= radius; d++)
                s += weights[d + radius] * tmp[clamp(i + d, rows) * cols + j];
            out[i * cols + j] = (uint8_t)(s + 0.5);
        }
}

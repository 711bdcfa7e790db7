#include <math.h>
#include <stdint.h>

void kernel(const double *lat1, int64_t n, const double *lon1, int64_t n1, const double *lat2, int64_t n2,
            const double *lon2, int64_t n3, double *distance, int64_t n4)
{
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++) {
        double slat = sin((lat2[i] - lat1[i]) / 2), slon = sin((lon2[i] - lon1[i]) / 2);
        double h = slat * slat + cos(lat1[i]) * cos(lat2[i]) * (slon * slon);
        distance[i] = 2 * atan2(sqrt(h), sqrt(1 - h));
    }
}

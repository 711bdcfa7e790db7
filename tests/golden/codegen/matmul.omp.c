int32_t kernel(const alp_slot *in, alp_slot *out)
{
    int64_t fp = 0;
    alp_fp_clear();
    const int threads = (int)in[0].i;
    int64_t n = in[1].i;
    double *restrict a = in[2].p;
    const int64_t a_n0 = in[3].i;
    const int64_t a_n1 = in[4].i;
    double *restrict b = in[7].p;
    const int64_t b_n0 = in[8].i;
    const int64_t b_n1 = in[9].i;
    double *restrict c = in[12].p;
    const int64_t c_n0 = in[13].i;
    const int64_t c_n1 = in[14].i;
    const int64_t fp_mask = in[17].i;
    alp_signals *const alp_poll = in[18].p;
    int64_t *resume = &out[9].i;
    if (!(n <= a_n0)) { out[0].i = 0; return 1; }
    if (!(n <= a_n1)) { out[0].i = 1; return 1; }
    if (!(n <= b_n0)) { out[0].i = 2; return 1; }
    if (!(n <= b_n1)) { out[0].i = 3; return 1; }
    if (!(n <= c_n0)) { out[0].i = 4; return 1; }
    if (!(n <= c_n1)) { out[0].i = 5; return 1; }
    if (!(n >= 1)) { out[0].i = 6; return 1; }
    if ((0) >= (n)) {
        out[0].i = -2;
        return 1;
    }
    int64_t i = 0;
    int64_t j = 0;
    int64_t k = 0;
    double s = 0;
    int64_t s_class = 0;
    int64_t j_set = 0;
    int64_t s_set = 0;
    int64_t k_set = 0;
    const double alp_hidden0 = alp_hide_f64(0.0);

    {
        const int64_t i_1_first = 0, i_1_stop = n;
        const int64_t i_1_rows = alp_block_rows(i_1_stop - i_1_first, (c_n1 * sizeof *c), threads, 1048576);
        double *restrict c_saved = alp_scratch(0, (size_t)(i_1_rows * c_n1) * sizeof *c);
        if (!c_saved) {
            out[0].i = 1;
            return 2;
        }
        const int64_t i_1_unit = 4 * threads;
        int64_t i_1_take = alp_poll ? alp_min_i64(alp_whole_units(alp_first_rows(16777216.0 * threads, 5.0 + alp_extent(0.0, (double)n) * (11.0 + alp_extent(0.0, (double)n) * (12.0))), i_1_unit), i_1_rows) : i_1_rows;
        for (int64_t i_1_block = i_1_first; i_1_block < i_1_stop;) {
            const int64_t i_1_end = alp_min_i64(i_1_block + i_1_take, i_1_stop);
            const int64_t i_kept = i;
            const int64_t j_kept = j;
            const double s_kept = s;
            const int64_t s_class_kept = s_class;
            const int64_t k_kept = k;
            const int64_t j_set_kept = j_set;
            const int64_t s_set_kept = s_set;
            const int64_t k_set_kept = k_set;
            if (i_1_block < i_1_end) {
            fp |= alp_fp_raised();
            #pragma omp parallel num_threads(threads) reduction(|:fp)
            {
                alp_fp_clear();
                #pragma omp for schedule(static) lastprivate(i, j, k, s, s_class)
                for (int64_t i_1 = i_1_block; i_1 < i_1_end; i_1++) {  // for i in range(n):
                    if ((uint64_t)i_1 < (uint64_t)c_n0) memcpy(&c_saved[(i_1 - i_1_block) * c_n1], &c[i_1 * c_n1], (size_t)(c_n1) * sizeof *c);
                    i = i_1;
                    for (int64_t j_1_strip = 0; j_1_strip < n; j_1_strip += 64) {  // for j in range(n):
                        const int64_t j_1_lanes = alp_min_i64(64, n - j_1_strip);
                        double s_lane[64];
                        int64_t s_class_lane[64];
                        #pragma GCC ivdep
                        for (int64_t l = 0; l < j_1_lanes; l++) {
                            const int64_t j_1 = j_1_strip + l;
                            j = j_1;
                            s_class_lane[l] = 0;  // s = 0.0
                            s_lane[l] = alp_hidden0;
                        }
                        for (int64_t k_1 = 0; k_1 < n; k_1++) {  // for k in range(n):
                            k = k_1;
                            #pragma GCC ivdep
                            for (int64_t l = 0; l < j_1_lanes; l++) {
                                const int64_t j_1 = j_1_strip + l;
                                s_class_lane[l] = 1;  // s += a[i, k] * b[k, j]
                                s_lane[l] = s_lane[l] + a[i_1 * a_n1 + k_1] * b[k_1 * b_n1 + j_1];
                            }
                        }
                        #pragma GCC ivdep
                        for (int64_t l = 0; l < j_1_lanes; l++) {
                            const int64_t j_1 = j_1_strip + l;
                            c[i_1 * c_n1 + j_1] = s_lane[l];  // c[i, j] = s
                        }
                        s = s_lane[j_1_lanes - 1];
                        s_class = s_class_lane[j_1_lanes - 1];
                    }
                }
                fp |= alp_fp_raised();
            }
            }
            j_set |= i_1_block < i_1_end;
            k_set |= i_1_block < i_1_end;
            s_set |= i_1_block < i_1_end;
            fp |= alp_fp_raised();
            if ((fp & fp_mask)) {
                for (int64_t i_1_row = i_1_block; i_1_row < i_1_end; i_1_row++) {
                    if ((uint64_t)i_1_row < (uint64_t)c_n0) memcpy(&c[i_1_row * c_n1], &c_saved[(i_1_row - i_1_block) * c_n1], (size_t)(c_n1) * sizeof *c);
                }
                out[0].i = 0 | fp << 8;
                if (i_1_block == i_1_first) return 2;
                i = i_kept;
                j = j_kept;
                s = s_kept;
                s_class = s_class_kept;
                k = k_kept;
                j_set = j_set_kept;
                s_set = s_set_kept;
                k_set = k_set_kept;
                out[1].i = i;
                out[2].i = j;
                out[3].i = j_set;
                out[4].d = s;
                out[5].i = s_class;
                out[6].i = s_set;
                out[7].i = k;
                out[8].i = k_set;
                resume[0] = 0;
                resume[1] = i_1_block - i_1_first;
                return 3;
            }
            i_1_block = i_1_end;
            if (alp_poll && i_1_block < i_1_stop) {
                i_1_take = alp_poll->ask(alp_poll, i_1_take);
                if (!i_1_take) {
                    out[1].i = i;
                    out[2].i = j;
                    out[3].i = j_set;
                    out[4].d = s;
                    out[5].i = s_class;
                    out[6].i = s_set;
                    out[7].i = k;
                    out[8].i = k_set;
                    out[0].i = 0;
                    return 4;
                }
                i_1_take = alp_min_i64(alp_whole_units(i_1_take, i_1_unit), i_1_rows);
            }
        }
    }

    out[1].i = i;
    out[2].i = j;
    out[3].i = j_set;
    out[4].d = s;
    out[5].i = s_class;
    out[6].i = s_set;
    out[7].i = k;
    out[8].i = k_set;
    fp |= alp_fp_raised();
    return 0;
}

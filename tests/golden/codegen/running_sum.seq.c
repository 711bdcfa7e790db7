int32_t kernel(const alp_slot *in, alp_slot *out)
{
    int64_t fp = 0;
    alp_fp_clear();
    int64_t n = in[1].i;
    double *restrict a = in[2].p;
    const int64_t a_n0 = in[3].i;
    const int64_t a_n1 = in[4].i;
    double s = in[7].d;
    double *restrict c = in[8].p;
    const int64_t c_n0 = in[9].i;
    const int64_t c_n1 = in[10].i;
    const int64_t fp_mask = in[13].i;
    alp_signals *const alp_poll = in[14].p;
    int64_t *resume = &out[6].i;
    if (!(n <= a_n0)) { out[0].i = 0; return 1; }
    if (!(a_n1 >= 1)) { out[0].i = 1; return 1; }
    if (!(n <= c_n0)) { out[0].i = 2; return 1; }
    if (!(n <= c_n1)) { out[0].i = 3; return 1; }
    if ((0) >= (n)) {
        out[0].i = -2;
        return 1;
    }
    int64_t i = 0;
    int64_t j = 0;
    int64_t s_class = 0;
    int64_t j_set = 0;
    const double alp_hidden0 = alp_hide_f64(0.0);

    s_class = 0;
    {
        const int64_t i_1_first = 0, i_1_stop = n;
        const int64_t i_1_rows = alp_block_rows(i_1_stop - i_1_first, (c_n1 * sizeof *c), 1, 1048576);
        double *restrict c_saved = alp_scratch(0, (size_t)(i_1_rows * c_n1) * sizeof *c);
        if (!c_saved) {
            out[0].i = 1;
            return 2;
        }
        const int64_t i_1_unit = 1;
        int64_t i_1_take = alp_poll ? alp_min_i64(alp_whole_units(alp_first_rows(4194304.0, 11.0 + 7.0 + 1.0 + alp_extent(0.0, (double)n) * (5.0)), i_1_unit), i_1_rows) : i_1_rows;
        for (int64_t i_1_block = i_1_first; i_1_block < i_1_stop;) {
            const int64_t i_1_end = alp_min_i64(i_1_block + i_1_take, i_1_stop);
            const int64_t i_kept = i;
            const double s_kept = s;
            const int64_t s_class_kept = s_class;
            const int64_t j_kept = j;
            const int64_t j_set_kept = j_set;
            for (int64_t i_1 = i_1_block; i_1 < i_1_end; i_1++) {  // for i in range(n):
                i = i_1;
                if (a[i_1 * a_n1 + 0] > alp_hidden0) {
                    // if a[i, 0] > 0:
                    s_class = 1;  // s += a[i, 0]
                    s = s + a[i_1 * a_n1 + 0];
                }
                #pragma GCC ivdep
                for (int64_t j_1 = 0; j_1 < n; j_1++) {  // for j in range(n):
                    j = j_1;
                    j_set = 1;
                    c_saved[(i_1 - i_1_block) * c_n1 + j_1] = c[i_1 * c_n1 + j_1];
                    c[i_1 * c_n1 + j_1] = s;  // c[i, j] = s
                }
            }
            fp |= alp_fp_raised();
            if ((fp & fp_mask)) {
                for (int64_t i_1 = i_1_block; i_1 < i_1_end; i_1++) {
                    for (int64_t j_1 = 0; j_1 < n; j_1 += 1)
                    c[i_1 * c_n1 + j_1] = c_saved[(i_1 - i_1_block) * c_n1 + j_1];
                }
                out[0].i = 0 | fp << 8;
                if (i_1_block == i_1_first) return 2;
                i = i_kept;
                s = s_kept;
                s_class = s_class_kept;
                j = j_kept;
                j_set = j_set_kept;
                out[1].i = i;
                out[2].d = s;
                out[3].i = s_class;
                out[4].i = j;
                out[5].i = j_set;
                resume[0] = 0;
                resume[1] = i_1_block - i_1_first;
                return 3;
            }
            i_1_block = i_1_end;
            if (alp_poll && i_1_block < i_1_stop) {
                i_1_take = alp_poll->ask(alp_poll, i_1_take);
                if (!i_1_take) {
                    out[1].i = i;
                    out[2].d = s;
                    out[3].i = s_class;
                    out[4].i = j;
                    out[5].i = j_set;
                    out[0].i = 0;
                    return 4;
                }
                i_1_take = alp_min_i64(alp_whole_units(i_1_take, i_1_unit), i_1_rows);
            }
        }
    }

    out[1].i = i;
    out[2].d = s;
    out[3].i = s_class;
    out[4].i = j;
    out[5].i = j_set;
    fp |= alp_fp_raised();
    return 0;
}

-- Width of the Bartlett window by S/N
-- mrs_width_px is the printed width, in pixels of the MRS red arm (0.12 Angstrom); bartlett_width_px is the same length in
-- pixels of this catalogue's grid (0.125 Angstrom), as it was used on n_smoothed spectra. Spectra of S/N below 10 are
-- smoothed with the widest window.
-- needs: spectrum, line_measurement
-- of: line_measurement
with
printed (snr_from, snr_to, mrs_width_px) as (
    values (10, 20, 15), (20, 40, 10), (40, 60, 9), (60, 100, 8), (100, 120, 7), (120, 150, 6), (150, null, 5)
),
measured as (
    select spectrum.snr_r, line_measurement.bartlett_width_px
    from line_measurement
    join spectrum using (spectrum_id)
    where line_measurement.bartlett_width_px is not null
),
final as (
    select
        printed.snr_from,
        printed.snr_to,
        printed.mrs_width_px,
        mode(measured.bartlett_width_px) as bartlett_width_px,
        count(measured.bartlett_width_px) as n_smoothed
    from printed
    left join measured on measured.snr_r >= printed.snr_from and measured.snr_r < coalesce(printed.snr_to, 'infinity'::float)
    group by printed.snr_from, printed.snr_to, printed.mrs_width_px
)
select * from final order by snr_from

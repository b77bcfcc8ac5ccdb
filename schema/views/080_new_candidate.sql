-- 80 · Emission stars that no list calls classical Be, without those that are something else according to a list or their spectrum.
--: step = "contaminant"
--: of = "star"
--: label = "New, and no contaminant"
--: printed = "new_candidate"
--: [80]
--: quantity = "Herbig Ae/Be lists"
--: column = "herbig_list"
--: detail = "literature_flag.herbig_list"
--: passes = "literature_flag.herbig_list is null"
--: asked = "parameter('exclude_contaminants') = 1"
--: known = "literature_flag.herbig_list is not null or are_lists_loaded('Herbig Ae/Be')"
--: missing = "passes"
--: decided_by = "no list of Herbig stars is loaded: `becat fetch vioque_2020 vieira_2003`"
--: [81]
--: quantity = "H II region lists"
--: column = "hii_list"
--: detail = "literature_flag.hii_list"
--: passes = "literature_flag.hii_list is null"
--: asked = "parameter('exclude_contaminants') = 1"
--: known = "literature_flag.hii_list is not null or are_lists_loaded('H II region')"
--: missing = "passes"
--: decided_by = "no list of H II regions is loaded: `becat fetch hou_2016`"
--: [82]
--: quantity = "nebular lines together"
--: column = "nebular_evidence"
--: value = "abs(line_measurement.nebular_significance)"
--: side = "at_most"
--: parameter = "nebular_significance_max"
--: asked = """parameter('exclude_contaminants') = 1 and may_be_nebular(line_measurement.fwhm_halpha_km_s, spectrum.resolving_power)"""
--: missing = "passes"
--: decided_by = "the forbidden lines are not measured: `becat measure`"
--: slider = [0, 50, 0.5]
--: [83]
--: quantity = "strongest nebular line"
--: column = "forbidden_line_evidence"
--: value = "abs(line_measurement.forbidden_line_significance)"
--: side = "at_most"
--: parameter = "forbidden_line_significance_max"
--: asked = """parameter('exclude_contaminants') = 1 and may_be_nebular(line_measurement.fwhm_halpha_km_s, spectrum.resolving_power)"""
--: missing = "passes"
--: decided_by = "the forbidden lines are not measured: `becat measure`"
--: slider = [0, 100, 1]
with
emission as (select * from {previous}),
final as (
    select * from emission where not ({branch}) and {passes}
)
select * from final

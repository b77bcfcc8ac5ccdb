-- 90 · New candidates with a spectral type later than O8 and earlier than A2, not of class I or II. Stars without a type are dropped.
--: step = "spectral_type"
--: of = "star"
--: label = "Later than O8, earlier than A2, no supergiant"
--: printed = "typed_candidate"
--: [90]
--: quantity = "latest possible subtype"
--: value = "adopted_type.subtype_max"
--: detail = "adopted_type.spectral_type"
--: side = "above"
--: parameter = "subtype_earliest"
--: missing = "type_unknown_passes"
--: decided_by = "no spectral type: `becat fetch skiff_2014 simbad`"
--: [91]
--: quantity = "earliest possible subtype"
--: value = "adopted_type.subtype_min"
--: detail = "adopted_type.spectral_type"
--: side = "below"
--: parameter = "subtype_latest"
--: missing = "type_unknown_passes"
--: decided_by = "no spectral type: `becat fetch skiff_2014 simbad`"
--: [92]
--: quantity = "luminosity class"
--: value = "adopted_type.luminosity_min"
--: detail = "adopted_type.spectral_type"
--: side = "above"
--: parameter = "luminosity_class_min"
--: missing = "passes"
--: decided_by = "no luminosity class is published: `becat fetch skiff_2014 simbad`"
--: [93]
--: quantity = "normal star"
--: column = "spectral_type"
--: detail = "adopted_type.spectral_type"
--: passes = "passes_normal_type(adopted_type.is_peculiar)"
--: known = "adopted_type.spectral_type is not null"
--: missing = "passes"
--: decided_by = "no spectral type: `becat fetch skiff_2014 simbad`"
with
candidates as (select * from {previous}),
final as (
    select * from candidates where {passes}
)
select * from final

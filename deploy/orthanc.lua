-- Orthanc sends each study's MR series to the node once the study is stable, and again when MR images were added.
-- In orthanc.json:
--   "LuaScripts": ["/etc/orthanc/brainseg.lua"],
--   "UserMetadata": {"BrainsegSent": 4200},
--   "DicomModalities": {"brainseg": ["BRAINSEG", "127.0.0.1", 11112]},
--   "StableAge": 60

local NODE = 'brainseg'

function OnStableStudy(study, tags, metadata)
  local series = ParseJson(RestApiGet('/studies/' .. study .. '/series'))
  local resources = {}
  local images = 0
  for _, each in ipairs(series) do
    if each['MainDicomTags']['Modality'] == 'MR' then
      table.insert(resources, each['ID'])
      images = images + #each['Instances']
    end
  end
  -- The node's results make the study stable once more; without new MR images there is nothing to send.
  if images == 0 or metadata['BrainsegSent'] == tostring(images) then
    return
  end
  local job = {Resources = resources, Synchronous = false}
  RestApiPost('/modalities/' .. NODE .. '/store', DumpJson(job, true))
  RestApiPut('/studies/' .. study .. '/metadata/BrainsegSent', tostring(images))
end

-- Orthanc sends each study's MR images to the node once the study is stable, and again when MR images were added. What
-- the node did not take, as while it is drained or away, is sent again after a pause, also after a restart of Orthanc.
-- In orthanc.json:
--   "LuaScripts": ["/etc/orthanc/brainseg.lua"],
--   "LuaHeartBeatPeriod": 60,
--   "UserMetadata": {"BrainsegSent": 4200},
--   "DicomModalities": {"brainseg": ["BRAINSEG", "127.0.0.1", 11112]},
--   "StableAge": 60
-- Before its version 1.11.1 Orthanc has no heart beat: there, what failed is sent again when a study becomes stable.

local NODE = 'brainseg'
local LONGEST_PAUSE = 600 -- s
local GIVE_UP = 7 * 24 * 3600 -- s after the first failure, or after Orthanc's start

-- What the node takes. An object of another class would end the transfer: screen captures often have modality MR.
local CLASSES = {
  ['1.2.840.10008.5.1.4.1.1.4'] = true, -- MR Image Storage
  ['1.2.840.10008.5.1.4.1.1.4.1'] = true, -- Enhanced MR Image Storage
}

local waiting = {} -- by study: the number of its images, its job while one runs, its failures; until the node has it
local studies = {} -- by job

-- Orthanc remembers ten failed jobs, so the studies are kept in a file.
local function File()
  local settings = GetOrthancConfiguration()
  return (settings['IndexDirectory'] or settings['StorageDirectory'] or 'OrthancStorage') .. '/brainseg-waiting'
end

local function Keep()
  local file, reason = io.open(File(), 'w')
  if not file then
    print('brainseg: what waits to be sent is lost at the next restart: ' .. reason)
    return
  end
  for study in pairs(waiting) do
    file:write(study, '\n')
  end
  file:close()
end

local function Images(study)
  local images = {}
  local answer = RestApiGet('/studies/' .. study .. '/series')
  for _, series in ipairs(answer and ParseJson(answer) or {}) do
    if series['MainDicomTags']['Modality'] == 'MR' then
      for _, image in ipairs(series['Instances']) do
        if CLASSES[RestApiGet('/instances/' .. image .. '/metadata/SopClassUid')] then
          table.insert(images, image)
        end
      end
    end
  end
  return images
end

local function Failed(study)
  local it = waiting[study]
  it.job = nil
  it.failures = it.failures + 1
  it.since = it.since or os.time()
  it.due = os.time() + math.min(30 * 2 ^ math.min(it.failures, 10), LONGEST_PAUSE)
  if os.time() - it.since > GIVE_UP then
    print('brainseg: the node did not take study ' .. study)
    waiting[study] = nil
    Keep()
  end
end

local function Send(study, images)
  local it = waiting[study]
  if not it then
    it = {failures = 0}
    waiting[study] = it
    Keep()
  end
  local job = RestApiPost('/modalities/' .. NODE .. '/store', DumpJson({Resources = images, Synchronous = false}, true))
  if job then
    it.job = ParseJson(job)['ID']
    it.images = #images
    studies[it.job] = study
  else
    Failed(study)
  end
end

-- One study a time, so that a node that is away is asked once; the others follow when it takes that one.
local function SendNext()
  local first
  for study, it in pairs(waiting) do
    if not it.job and it.due <= os.time() and (not first or it.due < waiting[first].due) then
      first = study
    end
  end
  if first then
    local images = Images(first)
    if #images > 0 then
      Send(first, images)
    else -- deleted meanwhile
      waiting[first] = nil
      Keep()
    end
  end
end

function Initialize()
  local file = io.open(File(), 'r')
  if file then
    for study in file:lines() do
      waiting[study] = {failures = 0, due = 0}
    end
    file:close()
  end
end

function OnStableStudy(study, tags, metadata)
  local images = Images(study)
  local it = waiting[study]
  -- The node's results make the study stable once more; without new MR images there is nothing to send.
  local sent = not it and metadata['BrainsegSent'] == tostring(#images)
  local under_way = it and it.job and it.images == #images
  if #images > 0 and not sent and not under_way then
    Send(study, images)
  end
  SendNext()
end

function OnHeartBeat()
  SendNext()
end

function OnJobSuccess(job)
  local study = studies[job]
  studies[job] = nil
  if study and waiting[study] and waiting[study].job == job then
    local it = waiting[study]
    RestApiPut('/studies/' .. study .. '/metadata/BrainsegSent', tostring(it.images))
    waiting[study] = nil
    Keep()
    if it.failures > 0 then -- the node is back
      for _, other in pairs(waiting) do
        other.due = math.min(other.due or 0, os.time())
      end
    end
    SendNext()
  end
end

function OnJobFailure(job)
  local study = studies[job]
  studies[job] = nil
  if study and waiting[study] and waiting[study].job == job then
    Failed(study)
  end
end
